//! The steps that are scripts.

use redis::Script;
use std::sync::LazyLock;

macro_rules! scripts {
    ($($name:ident $file:literal,)*) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("../scripts/common.lua"), include_str!(concat!("../scripts/", $file))))
        });)*
    };
}

scripts! {
    BEAT_CLIENT "beat_client.lua",
    BEAT_NODE "beat_node.lua",
    BURY "bury.lua",
    CANCEL "cancel.lua",
    JOIN "join.lua",
    LAST_ORDER "last_order.lua",
    LEAVE_CLIENT "leave_client.lua",
    LEAVE_NODE "leave_node.lua",
    MARK "mark.lua",
    OPEN_SESSION "open_session.lua",
    ORDER "order.lua",
    PUT "put.lua",
    PUT_RESULT "put_result.lua",
    READ_MARKS "read_marks.lua",
    SCAN "scan.lua",
    STEP "step.lua",
    SUBMIT "submit.lua",
    WAKE "wake.lua",
    WITNESSES "witnesses.lua",
}

/// Alone without what the others have in common: there is no life yet.
pub(super) static ENTER: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("../scripts/enter.lua")));

//! The steps that are scripts.

use redis::Script;
use std::sync::LazyLock;

macro_rules! scripts {
    ($($name:ident $($file:literal)+,)*) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!($(include_str!(concat!("../scripts/", $file))),+))
        });)*
    };
}

scripts! {
    BEAT_CLIENT "life.lua" "common.lua" "beat_client.lua",
    BEAT_NODE "life.lua" "common.lua" "beat_node.lua",
    BURY "life.lua" "common.lua" "bury.lua",
    CANCEL "life.lua" "common.lua" "cancel.lua",
    JOIN "life.lua" "common.lua" "join.lua",
    LAST_ORDER "life.lua" "last_order.lua",
    LEAVE_CLIENT "life.lua" "common.lua" "leave_client.lua",
    LEAVE_NODE "life.lua" "common.lua" "leave_node.lua",
    MARK "life.lua" "common.lua" "mark.lua",
    OPEN_SESSION "life.lua" "common.lua" "open_session.lua",
    ORDER "life.lua" "common.lua" "order.lua",
    PUT "life.lua" "put.lua",
    PUT_RESULT "life.lua" "common.lua" "put_result.lua",
    READ_MARKS "life.lua" "common.lua" "read_marks.lua",
    SCAN "life.lua" "common.lua" "scan.lua",
    STEP "life.lua" "common.lua" "step.lua",
    SUBMIT "life.lua" "submit.lua",
    WAKE "life.lua" "common.lua" "wake.lua",
    WITNESSES "life.lua" "common.lua" "witnesses.lua",
}

/// Alone without what the others have in common: there is no life yet.
pub(super) static ENTER: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("../scripts/enter.lua")));

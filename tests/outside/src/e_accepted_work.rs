//! Accepted work runs or resolves; what ends early says so as an error.

use crate::{Instance, silent_ends};

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new("a_result_that_no_stack_is_left_for_is_an_error", &[], silent_ends::result),
    Instance::new("as_completed_yields_what_no_stack_is_left_for", &[], silent_ends::as_completed_yields_all),
    Instance::new(
        "an_unordered_map_yields_what_no_stack_is_left_for",
        &[],
        silent_ends::unordered_maps_yield_all,
    ),
    Instance::new(
        "an_ordered_map_yields_what_no_stack_is_left_for",
        &[],
        silent_ends::ordered_maps_yield_all,
    ),
    Instance::new("an_exception_that_no_stack_is_left_for_is_an_error", &[], silent_ends::exception_and_wait),
    Instance::new("a_wait_for_all_that_no_stack_is_left_for_ends", &[], silent_ends::wait_for_all),
    Instance::new(
        "a_wait_for_the_first_that_no_stack_is_left_for_ends",
        &[],
        silent_ends::wait_for_the_first,
    ),
    Instance::new(
        "a_wait_for_a_failure_that_no_stack_is_left_for_ends",
        &[],
        silent_ends::wait_for_a_failure,
    ),
    Instance::new("a_scope_that_no_stack_is_left_for_says_so", &[], silent_ends::scopes_say_so),
    Instance::new(
        "others_see_the_error_of_what_no_stack_is_left_for",
        &[],
        silent_ends::others_that_wait_see_it,
    ),
];

#[test]
fn in_a_test() {
    start::check();
}

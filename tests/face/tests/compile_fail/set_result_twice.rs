//! What Python raises as InvalidStateError.
fn main() {
    let (promise, _future) = concurrent_futures::promise();
    promise.set_result(1);
    promise.set_result(2);
}

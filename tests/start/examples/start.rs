//! A pool in an example.

fn main() {
    start::check();
    println!("checked");
}

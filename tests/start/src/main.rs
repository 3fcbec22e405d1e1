fn main() {
    start::check();
    println!("checked");
}

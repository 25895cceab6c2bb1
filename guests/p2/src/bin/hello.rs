//! Prints `hello`, and its arguments if there are any.
//!
//! args: big world
//! exit: 0
//! stdout: hello big world
//! source: Rust std on WASI 0.2: wasi:cli/environment, wasi:cli/stdout

fn main() {
    let words: Vec<String> = ["hello".to_owned()].into_iter().chain(std::env::args().skip(1)).collect();
    println!("{}", words.join(" "));
}

//! Prints `hello`, and its arguments if there are any.

fn main() {
    let words: Vec<String> = ["hello".to_owned()].into_iter().chain(std::env::args().skip(1)).collect();
    println!("{}", words.join(" "));
}

//! Prints `hello`, and its arguments if there are any.
//!
//! args: big world
//! exit: 0
//! stdout: hello big world
//! source: WASI 0.3 wasi:cli/environment, stdout, run

struct Hello;

wasip3::cli::command::export!(Hello);

impl wasip3::exports::cli::run::Guest for Hello {
    async fn run() -> Result<(), ()> {
        let arguments = wasip3::cli::environment::get_arguments().into_iter().skip(1);
        let words: Vec<String> = std::iter::once("hello".to_owned()).chain(arguments).collect();
        p3::print(words.join(" ") + "\n").await;
        Ok(())
    }
}

//! A command that answers requests by the Common Gateway Interface: the path says what it does. It is a function of the
//! tests of `sampan serve`.

use std::io::Read;

fn main() {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body).expect("a body");
    let path = std::env::var("PATH_INFO").unwrap_or_default();
    match path.as_str() {
        "/variables" => {
            println!("Content-Type: text/plain\n");
            let mut variables: Vec<_> = std::env::vars().collect();
            variables.sort();
            variables.into_iter().for_each(|(name, value)| println!("{name}={value}"));
        }
        "/echo" => print!("Content-Type: text/plain\n\n{}", String::from_utf8_lossy(&body)),
        "/teapot" => print!(
            "Status: 418 I'm a teapot\r\nContent-Type: text/plain\r\nX-Leaves: green\r\n\r\nshort and stout"
        ),
        "/headless" => print!("this is no header"),
        "/fail" => {
            println!("Content-Type: text/plain\n\nnobody sees this");
            eprintln!("it went wrong");
            std::process::exit(3);
        }
        "/loop" => loop {
            std::hint::black_box(());
        },
        // A call of a chain has no path.
        _ => print!("Content-Type: application/json\n\n{{\"bytes\":{}}}", body.len()),
    }
}

//! Writes to standard output without end.

use std::io::Write;

fn main() {
    let line = [b'a'; 32 << 10];
    let mut stdout = std::io::stdout().lock();
    while stdout.write_all(&line).is_ok() {}
}

//! A compromised engine: sealed processes that try, with the machine's own system calls, what an attacker would.
//!
//! Nothing here is in the shipped binary. Each attack is a row of `attacks.rs` that says what it tries and what must
//! happen; it runs in a process that was sealed by the same function as every other, once as if the compiler had been
//! taken over (while the process is set up), and once as if the running program had. All of it runs as root, if the tests
//! do, and as a user who may do nothing. Beside that, every system call there is, is tried, and the ones that pass are
//! compared with `allowed.txt`; `BLESS=1` rewrites that.
//!
//! The machine must give sealed processes what they need: namespaces, seccomp and Landlock. Where it does not, this fails.

#[cfg(target_os = "linux")]
mod attacks;
#[cfg(target_os = "linux")]
mod attempt;
#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod egress;
#[cfg(target_os = "linux")]
mod rate;
#[cfg(target_os = "linux")]
mod scene;

#[cfg(target_os = "linux")]
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["attempt", name, phase, dir] => attempt::run(name, phase, dir.as_ref()),
        ["call", from, to] => calls::try_all(from, to),
        // What runs tests may pass flags, and a part of a name.
        ref words => {
            if words.contains(&"--list") {
                return;
            }
            let wanted = words.first().filter(|word| !word.starts_with('-')).copied().unwrap_or_default();
            scene::run_all(wanted);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("sealed processes are Linux's");
}

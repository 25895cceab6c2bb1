//! How the program is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The addresses that the loader must correct, hundreds of thousands, are kept as a bitmap (DT_RELR): a third of the
    // start of a small program was reading the list of them. The linker and the C library of Debian 12 know it.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux")
        && std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu")
    {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

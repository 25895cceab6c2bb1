//! Tells the linker where things lie, and the object that `SAMPAN_OBJECT` names.

use std::path::Path;

fn main() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("link.x");
    println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    println!("cargo::rerun-if-changed=link.x");
    println!("cargo::rerun-if-env-changed=SAMPAN_OBJECT");
    if let Ok(object) = std::env::var("SAMPAN_OBJECT") {
        println!("cargo::rerun-if-changed={object}");
        println!("cargo::rustc-link-arg-bins={object}");
    }
}

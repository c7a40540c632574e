//! Makes the library that steps the clock of a process, of `clock/step.rs`. There is nothing to
//! install for it: who can compile the tests can compile it.

use std::env::var;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=clock/step.rs");
    println!("cargo::rerun-if-changed=clock/build.rs");
    let library = Path::new(&var("OUT_DIR").expect("cargo sets it")).join("libstep.so");
    println!("cargo::rustc-env=STEP_CLOCK_LIBRARY={}", library.display());
    // Elsewhere there is no Envoy to preload it into either.
    if var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let mut rustc = Command::new(var("RUSTC").expect("cargo sets it"));
    rustc
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "cdylib",
            "--crate-name",
            "step",
        ])
        .args(["-O", "-C", "panic=abort", "--target"])
        .arg(var("TARGET").expect("cargo sets it"));
    if let Ok(linker) = var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    let made = rustc.arg("-o").arg(&library).arg("clock/step.rs").status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "the library that steps a clock cannot be compiled"
    );
}

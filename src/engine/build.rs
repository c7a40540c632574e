//! Names the build: a digest of everything that decides what a document means to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let own = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = own.join("../..");
    let mut files = vec![root.join("Cargo.toml"), root.join("Cargo.lock")];
    list(&root.join("src"), &mut files)?;
    files.sort();
    let mut hash = hmac_sha256::Hash::new();
    for file in &files {
        // Folders differ between machines, and contents decide.
        let name = file.strip_prefix(&root).unwrap_or(file);
        let contents = fs::read(file)?;
        for part in [name.to_string_lossy().as_bytes(), contents.as_slice()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_FEATURE_")) {
        hash.update(name);
    }
    let digest = hash.finalize();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo:rustc-env=PORTCULLIS_BUILD={digest}");
    println!("cargo:rerun-if-changed=../../src");
    println!("cargo:rerun-if-changed=../../Cargo.toml");
    println!("cargo:rerun-if-changed=../../Cargo.lock");
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

//! A directory for the time of a run.

use std::fs;
use std::path::{Path, PathBuf};

/// Removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn create() -> Result<Self, String> {
        let name = format!("portcullis-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.file(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

/// Empties a log that somebody else goes on writing, if it is there.
pub(super) fn empty(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path);
    // A log that is not there needs no emptying.
    let _ = file.and_then(|file| file.set_len(0));
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

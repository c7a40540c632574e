//! Where Envoy is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::EnvoyError;

/// Finds Envoy: the file named by `ENVOY`, else `envoy` on `PATH`, else the
/// newest version under `.cache/envoy/<version>/` of the repository, at any depth.
pub fn locate() -> Result<PathBuf, EnvoyError> {
    if let Some(path) = std::env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return match is_executable(&path) {
            true => Ok(path),
            false => Err(EnvoyError::NotFound { named: Some(path) }),
        };
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search)
        .map(|directory| directory.join("envoy"))
        .find(|path| is_executable(path))
        .or_else(|| {
            let cache = concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/envoy");
            cached(Path::new(cache))
        })
        .ok_or(EnvoyError::NotFound { named: None })
}

fn cached(cache: &Path) -> Option<PathBuf> {
    let mut versions = entries(cache);
    versions.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let numbers = name.split(|c: char| !c.is_ascii_digit());
        numbers
            .filter_map(|number| number.parse().ok())
            .collect::<Vec<u64>>()
    });
    versions.iter().rev().find_map(|version| below(version))
}

fn below(directory: &Path) -> Option<PathBuf> {
    let entries = entries(directory);
    let here = entries
        .iter()
        .find(|path| path.ends_with("envoy") && is_executable(path));
    here.cloned().or_else(|| {
        entries
            .iter()
            .filter(|path| path.is_dir())
            .find_map(|path| below(path))
    })
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| !path.is_symlink() || path.is_file())
        .collect()
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::process::Directory;

    #[test]
    fn the_newest_cached_version_wins() {
        let cache = Directory::create().unwrap();
        for version in ["1.9.9", "1.40.0", "1.36.2"] {
            let bin = cache.path().join(version).join("envoy/_bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("envoy"), "").unwrap();
            fs::set_permissions(bin.join("envoy"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::create_dir(cache.path().join("1.41.0")).unwrap();
        let found = cached(cache.path()).unwrap();
        assert_eq!(found, cache.path().join("1.40.0/envoy/_bin/envoy"));
    }
}

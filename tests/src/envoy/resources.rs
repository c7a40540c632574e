//! Resources from a file that is replaced while Envoy runs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::EnvoyError;
use super::process::cannot;

/// The file. It lives in a directory that Envoy watches, and gets there by a rename.
#[derive(Debug)]
pub(super) struct Resources {
    watched: PathBuf,
    draft: PathBuf,
    /// What they are, as in `listener.v3.Listener`.
    kind: &'static str,
    version: u64,
}

impl Resources {
    /// An empty directory for them, of that name.
    pub(super) fn create(
        directory: &Path,
        name: &str,
        kind: &'static str,
    ) -> Result<Self, EnvoyError> {
        let resources = Self::adopt(directory, name, kind, 0);
        fs::create_dir(&resources.watched).map_err(cannot("create a directory"))?;
        Ok(resources)
    }

    /// Those of a directory that another process has created, with the version that it has written last.
    pub(super) fn adopt(directory: &Path, name: &str, kind: &'static str, version: u64) -> Self {
        Self {
            watched: directory.join(name),
            draft: directory.join(format!("{name}-draft.json")),
            kind,
            version,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn config_source(&self) -> Value {
        json!({
            "resource_api_version": "V3",
            "path_config_source": {
                "path": self.file(),
                "watched_directory": { "path": self.watched },
            },
        })
    }

    pub(super) fn write<'a>(
        &mut self,
        all: impl Iterator<Item = &'a Value>,
    ) -> Result<(), EnvoyError> {
        self.version += 1;
        let resources: Vec<Value> = all
            .map(|one| {
                let mut resource = one.clone();
                resource["@type"] =
                    format!("type.googleapis.com/envoy.config.{}", self.kind).into();
                resource
            })
            .collect();
        let response = json!({
            "version_info": self.version.to_string(),
            "resources": resources,
        });
        fs::write(&self.draft, response.to_string())
            .and_then(|()| fs::rename(&self.draft, self.file()))
            .map_err(cannot("write resources"))
    }

    fn file(&self) -> PathBuf {
        self.watched.join("resources.json")
    }
}

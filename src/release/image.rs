//! Images in the layout of OCI, as one archive that `skopeo copy oci-archive:…` and `crane push` take to a registry.
//!
//! A module is wrapped in two ways, of which a registry needs one:
//! [`compatible`] is an image of one layer with `plugin.wasm`
//! (<https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md>), and [`artifact`] has the module as it is, in a
//! layer of its own media type (<https://github.com/solo-io/wasm/blob/master/spec/spec.md>).

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::{date, hex_sum};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Of the artefact: its configuration, which the proxy does not read, and the module.
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// What annotations say.
pub(crate) struct About<'a> {
    pub(crate) version: &'a str,
    pub(crate) revision: &'a str,
    pub(crate) epoch: u64,
}

impl About<'_> {
    fn annotations(&self, title: &str) -> Value {
        json!({
            "org.opencontainers.image.created": date(self.epoch),
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.revision": self.revision,
            "org.opencontainers.image.title": title,
            "org.opencontainers.image.version": self.version,
        })
    }
}

/// The command for an architecture, by OCI's name of it.
pub(crate) struct Command {
    pub(crate) architecture: String,
    pub(crate) bytes: Vec<u8>,
}

/// A file in an archive.
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a str,
    pub(crate) mode: u32,
    pub(crate) bytes: &'a [u8],
}

/// The image that Istio, Envoy Gateway and every registry take.
pub(crate) fn compatible(module: &[u8], about: &About<'_>) -> Result<Vec<u8>, String> {
    let mut layout = Layout::default();
    let file = Entry {
        path: "plugin.wasm",
        mode: 0o644,
        bytes: module,
    };
    let mut annotations = about.annotations("Portcullis");
    if let Some(members) = annotations.as_object_mut() {
        members.insert("module.wasm.image/variant".into(), "compat".into());
    }
    // No architecture runs it. Proxies do not look; what unpacks images for a container takes only its own.
    let platform = json!({ "architecture": "amd64", "os": "linux" });
    let (manifest, _) = layout.image(&file, platform, json!({}), annotations, about)?;
    layout.archive(vec![manifest], about)
}

/// The same module as an artefact, not wrapped in an archive.
pub(crate) fn artifact(module: &[u8], about: &About<'_>) -> Result<Vec<u8>, String> {
    let mut layout = Layout::default();
    let config = layout.blob(WASM_CONFIG, b"{}".to_vec());
    let wasm = layout.blob(WASM_LAYER, module.to_vec());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        // Istio asks for exactly these two.
        "layers": [config, wasm],
        "annotations": about.annotations("Portcullis"),
    });
    let manifest = layout.blob(MANIFEST, manifest.to_string().into_bytes());
    layout.archive(vec![manifest], about)
}

/// The command as an image of one file, for each architecture that it was built for.
pub(crate) fn of_commands(commands: &[Command], about: &About<'_>) -> Result<Vec<u8>, String> {
    let mut layout = Layout::default();
    let mut manifests = Vec::new();
    for Command {
        architecture,
        bytes,
    } in commands
    {
        let file = Entry {
            path: "portcullis",
            mode: 0o755,
            bytes,
        };
        let platform = json!({ "architecture": architecture, "os": "linux" });
        let config = json!({ "Entrypoint": ["/portcullis"], "User": "65532:65532" });
        let annotations = about.annotations("portcullis, the command");
        let (mut manifest, platform) = layout.image(&file, platform, config, annotations, about)?;
        if let Some(members) = manifest.as_object_mut() {
            members.insert("platform".into(), platform);
        }
        manifests.push(manifest);
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": manifests,
        "annotations": about.annotations("portcullis, the command"),
    });
    let index = layout.blob(INDEX, index.to_string().into_bytes());
    layout.archive(vec![index], about)
}

/// Blobs by their SHA-256.
#[derive(Default)]
struct Layout {
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    /// Keeps a blob and describes it.
    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let (sum, size) = (hex_sum(&bytes), bytes.len());
        self.blobs.insert(sum.clone(), bytes);
        json!({ "mediaType": media_type, "digest": format!("sha256:{sum}"), "size": size })
    }

    /// An image of one file: its manifest, and the platform again.
    fn image(
        &mut self,
        file: &Entry<'_>,
        platform: Value,
        config: Value,
        annotations: Value,
        about: &About<'_>,
    ) -> Result<(Value, Value), String> {
        let archive = archive(std::slice::from_ref(file), about.epoch)?;
        let unpacked = hex_sum(&archive);
        let layer = self.blob(LAYER, compressed(&archive)?);
        let mut described = json!({
            "created": date(about.epoch),
            "config": config,
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{unpacked}")] },
            "history": [{ "created": date(about.epoch), "created_by": "portcullis-release" }],
        });
        if let (Some(members), Some(platform)) = (described.as_object_mut(), platform.as_object()) {
            members.extend(platform.clone());
        }
        let config = self.blob(CONFIG, described.to_string().into_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
            "annotations": annotations,
        });
        let manifest = self.blob(MANIFEST, manifest.to_string().into_bytes());
        Ok((manifest, platform))
    }

    /// All of it as one archive, whose index names these.
    fn archive(self, mut named: Vec<Value>, about: &About<'_>) -> Result<Vec<u8>, String> {
        for each in &mut named {
            if let Some(members) = each.as_object_mut() {
                let name = json!({ "org.opencontainers.image.ref.name": about.version });
                members.insert("annotations".into(), name);
            }
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": named });
        let index = index.to_string().into_bytes();
        let mut files = vec![
            (
                "oci-layout".to_owned(),
                br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            ),
            ("index.json".to_owned(), index),
        ];
        let blobs = self.blobs.into_iter();
        files.extend(blobs.map(|(sum, bytes)| (format!("blobs/sha256/{sum}"), bytes)));
        let entries: Vec<Entry<'_>> = files
            .iter()
            .map(|(path, bytes)| Entry {
                path,
                mode: 0o644,
                bytes,
            })
            .collect();
        archive(&entries, about.epoch)
    }
}

/// A tar archive that says nothing of who made it.
pub(crate) fn archive(entries: &[Entry<'_>], epoch: u64) -> Result<Vec<u8>, String> {
    let mut builder = tar::Builder::new(Vec::new());
    let fails = |error: std::io::Error| format!("an archive cannot be written: {error}");
    for Entry { path, mode, bytes } in entries {
        let mut header = tar::Header::new_ustar();
        header.set_path(path).map_err(fails)?;
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(epoch);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).map_err(fails)?;
    }
    builder.into_inner().map_err(fails)
}

/// With gzip, whose header says neither a name nor a time.
pub(crate) fn compressed(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map_err(|error| format!("a layer cannot be compressed: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    const ABOUT: About<'_> = About {
        version: "0.1.0",
        revision: "0123456789abcdef0123456789abcdef01234567",
        epoch: 1_800_000_000,
    };

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (path, bytes)
        };
        archive.entries().unwrap().map(read).collect()
    }

    /// The blob that a descriptor names, which has to be of that size and sum.
    fn blob<'f>(files: &'f BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'f [u8] {
        let digest = descriptor["digest"].as_str().unwrap();
        let sum = digest.strip_prefix("sha256:").unwrap();
        let bytes = &files[&format!("blobs/sha256/{sum}")];
        assert_eq!(hex_sum(bytes), sum);
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    }

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    /// What the index of a layout names first.
    fn named(files: &BTreeMap<String, Vec<u8>>) -> Value {
        assert_eq!(parsed(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
        let index = parsed(&files["index.json"]);
        let descriptor = &index["manifests"][0];
        let name = &descriptor["annotations"]["org.opencontainers.image.ref.name"];
        assert_eq!(name, "0.1.0");
        parsed(blob(files, descriptor))
    }

    fn unpacked(layer: &[u8]) -> Vec<u8> {
        let mut archive = Vec::new();
        GzDecoder::new(layer).read_to_end(&mut archive).unwrap();
        archive
    }

    /// By the steps of Istio's fetcher: the last layer, its media type, then the file of that name.
    #[test]
    fn a_proxy_finds_the_module_in_the_image() {
        let files_of = files(&compatible(b"\0asm module", &ABOUT).unwrap());
        let manifest = named(&files_of);
        assert_eq!(
            manifest["annotations"]["module.wasm.image/variant"],
            "compat"
        );
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1);
        assert_eq!(layers[0]["mediaType"], LAYER);
        let archive = unpacked(blob(&files_of, &layers[0]));
        let config = parsed(blob(&files_of, &manifest["config"]));
        let unpacked = format!("sha256:{}", hex_sum(&archive));
        assert_eq!(config["rootfs"]["diff_ids"], json!([unpacked]));
        assert_eq!(files(&archive)["plugin.wasm"], b"\0asm module");
    }

    #[test]
    fn a_proxy_finds_the_module_in_the_artifact() {
        let files = files(&artifact(b"\0asm module", &ABOUT).unwrap());
        let manifest = named(&files);
        assert_eq!(manifest["config"]["mediaType"], WASM_CONFIG);
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 2, "Istio takes no other number");
        let wasm = layers.iter().find(|layer| layer["mediaType"] == WASM_LAYER);
        assert_eq!(blob(&files, wasm.unwrap()), b"\0asm module");
    }

    #[test]
    fn each_architecture_has_its_command() {
        let command = |architecture: &str| Command {
            architecture: architecture.into(),
            bytes: format!("for {architecture}").into(),
        };
        let built = [command("amd64"), command("arm64")];
        let files_of = files(&of_commands(&built, &ABOUT).unwrap());
        let index = named(&files_of);
        let manifests = index["manifests"].as_array().unwrap();
        assert_eq!(manifests.len(), 2);
        for (
            descriptor,
            Command {
                architecture,
                bytes,
            },
        ) in manifests.iter().zip(&built)
        {
            assert_eq!(descriptor["platform"]["architecture"], **architecture);
            assert_eq!(descriptor["platform"]["os"], "linux");
            let manifest = parsed(blob(&files_of, descriptor));
            let config = parsed(blob(&files_of, &manifest["config"]));
            assert_eq!(config["architecture"], **architecture);
            assert_eq!(config["config"]["Entrypoint"], json!(["/portcullis"]));
            assert_ne!(config["config"]["User"], "0");
            let archive = unpacked(blob(&files_of, &manifest["layers"][0]));
            assert_eq!(&files(&archive)["portcullis"], bytes);
            let mut archive = tar::Archive::new(&archive[..]);
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.header().mode().unwrap() & 0o111, 0o111);
        }
    }

    #[test]
    fn the_same_is_written_again() {
        let once = compatible(b"module", &ABOUT).unwrap();
        assert_eq!(once, compatible(b"module", &ABOUT).unwrap());
        let header = &once[..512];
        for leak in ["root", "home"] {
            assert!(!header.windows(4).any(|bytes| bytes == leak.as_bytes()));
        }
    }
}

//! The chart as the archive that helm takes, with the schema of documents in that of its values: an editor and helm
//! itself then know what a document may say.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::image::{Entry, archive, compressed};
use crate::{read, said};

/// What a chart says of itself.
const ABOUT: &str = "Chart.yaml";
/// The schema of values.
const VALUES: &str = "values.schema.json";
/// What both schemas are written in, once they are one.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Packs the chart in a folder, whose name is the chart's. It says the version of the release, of itself and of what it
/// deploys.
pub(crate) fn pack(
    folder: &Path,
    schema: Option<&[u8]>,
    version: &str,
    epoch: u64,
) -> Result<Vec<u8>, String> {
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("{} is no chart", folder.display()))?;
    let mut files = Vec::new();
    gather(folder, name, &mut files)?;
    files.sort();
    let about = files
        .iter()
        .find(|(path, _)| *path == format!("{name}/{ABOUT}"));
    let (_, about) = about.ok_or_else(|| format!("the chart has no {ABOUT}"))?;
    for member in ["version", "appVersion"] {
        let line = format!("{member}: {version}");
        if !about
            .split(|byte| *byte == b'\n')
            .any(|one| one == line.as_bytes())
        {
            return Err(format!("{ABOUT} of the chart must say `{line}`"));
        }
    }
    if let Some(schema) = schema {
        let values = format!("{name}/{VALUES}");
        let found = files.iter_mut().find(|(path, _)| *path == values);
        let (_, values) = found.ok_or_else(|| format!("the chart has no {VALUES}"))?;
        *values = with_documents(values, schema)?;
    }
    let entries: Vec<Entry<'_>> = files
        .iter()
        .map(|(path, bytes)| Entry {
            path,
            mode: 0o644,
            bytes,
        })
        .collect();
    compressed(&archive(&entries, epoch)?)
}

fn gather(folder: &Path, path: &str, into: &mut Vec<(String, Vec<u8>)>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| said(folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| said(folder, &error))?;
        let name = entry.file_name();
        let name = name.to_str().ok_or("a file's name is no text")?;
        let path = format!("{path}/{name}");
        match entry.path().is_dir() {
            true => gather(&entry.path(), &path, into)?,
            false => into.push((path, read(&entry.path())?)),
        }
    }
    Ok(())
}

/// The schema of values with that of documents in it, by its own name.
fn with_documents(values: &[u8], schema: &[u8]) -> Result<Vec<u8>, String> {
    let parsed = |bytes: &[u8]| {
        serde_json::from_slice::<Value>(bytes)
            .map_err(|error| format!("a schema is no JSON: {error}"))
    };
    let (mut values, schema) = (parsed(values)?, parsed(schema)?);
    let id = schema.get("$id").and_then(Value::as_str);
    let reference = json!({ "$ref": id.ok_or("the schema of documents has no $id")? });
    let document = values.pointer_mut("/properties/document");
    *document.ok_or("the schema of values has no document")? = reference;
    if let Some(members) = values.as_object_mut() {
        members.insert("$schema".into(), DRAFT.into());
        members.insert("$defs".into(), json!({ "document": schema }));
    }
    // Short, since helm keeps it with each release.
    Ok(values.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    const VERSION: &str = env!("CARGO_PKG_VERSION");

    fn unpacked(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (path, bytes)
        });
        entries.collect()
    }

    #[test]
    fn the_chart_is_packed_with_the_schema_of_documents() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../envoy/helm/portcullis");
        let folder = Path::new(folder);
        let plain = unpacked(&pack(folder, None, VERSION, 0).unwrap());
        for name in ["Chart.yaml", "values.yaml", VALUES, "templates/istio.yaml"] {
            let file = fs::read(folder.join(name)).unwrap();
            assert_eq!(plain[&format!("portcullis/{name}")], file, "{name}");
        }
        let schema = br#"{"$id": "https://schemas.example.com/document", "type": "object"}"#;
        let with = pack(folder, Some(schema), VERSION, 0).unwrap();
        assert_eq!(with, pack(folder, Some(schema), VERSION, 0).unwrap());
        let values = &unpacked(&with)[&format!("portcullis/{VALUES}")];
        let values: Value = serde_json::from_slice(values).unwrap();
        let id = "https://schemas.example.com/document";
        assert_eq!(values["properties"]["document"], json!({ "$ref": id }));
        assert_eq!(values["$defs"]["document"]["$id"], id);
        assert_eq!(values["additionalProperties"], false);
        assert!(pack(folder, Some(b"{}"), VERSION, 0).is_err());
        let other = pack(folder, None, "0.0.1", 0);
        assert!(other.is_err_and(|error| error.contains("`version: 0.0.1`")));
    }
}

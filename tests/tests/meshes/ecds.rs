//! `envoy/ecds`: plain Envoy with the filter from a file, as a ConfigMap is mounted.

use std::os::unix::fs::symlink;

use portcullis_tests::patience::wait_until;

use super::*;

/// A folder as Kubernetes mounts a ConfigMap: files are links through `..data`, which is moved.
pub(super) struct Mounted {
    folder: PathBuf,
    versions: u32,
}

impl Mounted {
    pub(super) fn new(test: &str, resource: &Value) -> Self {
        let name = format!("ecds-{test}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        symlink("..data/portcullis.yaml", folder.join("portcullis.yaml")).expect("a link");
        let mut mounted = Self {
            folder,
            versions: 0,
        };
        mounted.replace(resource);
        mounted
    }

    pub(super) fn replace(&mut self, resource: &Value) {
        self.versions += 1;
        let version = format!("..{}", self.versions);
        let folder = self.folder.join(&version);
        fs::create_dir_all(&folder).expect("a folder");
        // JSON is YAML.
        fs::write(folder.join("portcullis.yaml"), resource.to_string()).expect("a file");
        let link = self.folder.join("..data_tmp");
        symlink(version, &link).expect("a link");
        fs::rename(link, self.folder.join("..data")).expect("it is moved");
    }
}

/// The example, with what it loads in place of what it names.
pub(super) fn example(mounted: &Mounted, upstream: &Upstream) -> Value {
    let mut bootstrap = read_yaml(&repository().join("envoy/ecds/envoy.yaml"));
    bootstrap["admin"] = Value::Null;
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
    let resources = &mut bootstrap["static_resources"];
    resources["listeners"][0]["address"] = address;
    resources["listeners"][0]["name"] = "gateway".into();
    resources["clusters"] = json!([cluster("upstream", upstream.addr())]);
    let source = "/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/config_discovery/config_source/path_config_source";
    let source = resources.pointer_mut(source).expect("a source");
    let file = mounted.folder.join("portcullis.yaml");
    assert_eq!(source["path"], "/etc/portcullis/portcullis.yaml");
    *source = json!({ "path": file, "watched_directory": { "path": mounted.folder } });
    bootstrap
        .as_object_mut()
        .expect("an object")
        .remove("admin");
    bootstrap
}

/// The file of the example, with the module where it is.
fn resource() -> Value {
    let mut resource = read_yaml(&repository().join("envoy/ecds/portcullis.yaml"));
    with_module(&mut resource);
    resource
}

pub(super) fn with_module(resource: &mut Value) {
    let code = "/resources/0/typed_config/config/vm_config/code/local/filename";
    let code = resource.pointer_mut(code).expect("a module");
    *code = module_path().to_string_lossy().into_owned().into();
}

fn with_document(resource: &Value, edit: impl FnOnce(&mut Value)) -> Value {
    let mut resource = resource.clone();
    let value = "/resources/0/typed_config/config/configuration/value";
    let text = resource.pointer_mut(value).expect("a document");
    let mut document: Value =
        serde_json::from_str(text.as_str().expect("a text")).expect("a document is JSON");
    edit(&mut document);
    *text = document.to_string().into();
    resource
}

pub(super) fn start(mounted: &Mounted) -> Mesh {
    let upstream = Upstream::start().expect("a port");
    let envoy = Envoy::start(example(mounted, &upstream), &Options::default())
        .unwrap_or_else(|error| panic!("{error}"));
    let addr = envoy.listener_addr("gateway").expect("the listener");
    Mesh {
        upstream,
        envoy,
        addr,
    }
}

#[test]
fn a_document_is_replaced_while_envoy_runs() {
    let resource = resource();
    let mut mounted = Mounted::new("replaced", &resource);
    let mesh = start(&mounted);
    mesh.guards();
    assert_eq!(mesh.get("/news", None).status, 404);

    let news = json!({ "name": "news", "match": { "path": { "prefix": "/news" } }, "open": true });
    mounted.replace(&with_document(&resource, |document| {
        let routes = document["routes"].as_array_mut().expect("routes");
        routes.push(news);
    }));
    wait_until("the new document is in force", || {
        mesh.get("/news", None).status == 200
    });
    mesh.upstream.take_all();
    mesh.guards();

    let mark = mesh.envoy.log_mark();
    mounted.replace(&with_document(&resource, |document| {
        document["routes"][1]["jwt"]["provider"] = "nobody".into();
    }));
    wait_until("the bad document is refused", || {
        mesh.envoy
            .log_since(mark)
            .contains("Unable to create Wasm plugin")
    });
    assert_eq!(mesh.get("/news", None).status, 200, "the one before serves");
    mesh.upstream.take_all();
    mesh.guards();
}

#[test]
fn a_first_document_that_is_refused_lets_nothing_through() {
    let bad = with_document(&resource(), |document| document["version"] = 7.into());
    let mesh = start(&Mounted::new("first", &bad));
    assert_eq!(mesh.get("/healthz", None).status, 500);
    assert_eq!(mesh.upstream.count(), 0);
}

//! The life of plugins in a VM: how they come, are replaced and go, and a VM that is copied.

use std::sync::{Arc, Mutex};

use super::state::{OutgoingCall, Stage, Vm};
use super::{FakeHost, StartError, Trap, http};
use crate::entries;
use crate::wire::Response;

/// A page of wasm memory.
const PAGE: usize = 64 * 1024;

impl FakeHost {
    /// Creates the plugin's context, starts the VM and hands the configuration over.
    pub fn configure(&mut self, configuration: &[u8]) -> Result<(), StartError> {
        self.take_up(configuration)?;
        match self.has_failed() {
            false => Ok(()),
            true => Err(StartError::Trap("the VM has failed".to_owned())),
        }
    }

    /// The same for one plugin more, which from then on gets the requests: what Envoy does in a
    /// VM that it has, when a configuration is replaced.
    ///
    /// In a VM that has failed Envoy skips what is left, and takes that for success.
    pub(super) fn take_up(&mut self, configuration: &[u8]) -> Result<(), StartError> {
        let size = u32::try_from(configuration.len()).expect("a configuration fits wasm memory");
        let root = self.new_context();
        let vm = self.store.data_mut();
        vm.stage = Stage::Running;
        vm.roots.insert(root, 0);
        (vm.root, vm.effective_context) = (root, root);
        vm.configuration = configuration.to_vec();
        if self
            .call_start::<_, ()>("proxy_on_context_create", (root, 0_u32))
            .is_err()
        {
            return Ok(());
        }
        self.start_with("proxy_on_vm_start", root, 0)?;
        self.store.data_mut().stage = Stage::Configuring;
        let configured = self.start_with("proxy_on_configure", root, size);
        self.store.data_mut().stage = Stage::Running;
        configured
    }

    fn start_with(&mut self, name: &str, root: u32, size: u32) -> Result<(), StartError> {
        if self.has_failed() || !self.exports(name) {
            return Ok(());
        }
        match self.call_start::<_, u32>(name, (root, size))? {
            0 => Err(StartError::Refused {
                log: self.log().to_vec(),
            }),
            _ => Ok(()),
        }
    }

    /// Ends all plugins but the newest, as when their last requests are over.
    pub fn drain(&mut self) -> Result<(), Trap> {
        let newest = self.store.data().root;
        self.end_plugins(|root| root != newest)?;
        self.store.data_mut().effective_context = newest;
        Ok(())
    }

    /// Ends all plugins, as when the last listener goes.
    pub fn end(&mut self) -> Result<(), Trap> {
        self.end_plugins(|_| true)
    }

    fn end_plugins(&mut self, ends: impl Fn(u32) -> bool) -> Result<(), Trap> {
        self.check_alive()?;
        let logged = self.log().len();
        let roots: Vec<u32> = self.store.data().roots.keys().copied().collect();
        for root in roots.into_iter().filter(|root| ends(*root)) {
            self.store.data_mut().effective_context = root;
            self.callback::<_, u32>("proxy_on_done", root, logged)?;
            self.callback::<_, ()>("proxy_on_delete", root, logged)?;
            let vm = self.store.data_mut();
            vm.roots.remove(&root);
            vm.called.retain(|call| call.root != root);
        }
        Ok(())
    }

    /// Lets the module call a cluster. Its calls wait for [`answer_calls`](Self::answer_calls).
    pub fn set_cluster(&mut self, name: &str) {
        self.store
            .data_mut()
            .clusters
            .insert(name.as_bytes().to_vec());
    }

    /// Answers the calls that wait for this cluster; how many there were.
    pub fn answer_calls(&mut self, cluster: &str, response: &Response) -> Result<usize, Trap> {
        self.check_alive()?;
        let logged = self.log().len();
        let vm = self.store.data_mut();
        let (ready, waiting) = std::mem::take(&mut vm.called)
            .into_iter()
            .partition::<Vec<_>, _>(|call| call.cluster == cluster.as_bytes());
        vm.called = waiting;
        for call in &ready {
            self.answer_call(call, response, logged)?;
        }
        Ok(ready.len())
    }

    /// Has calls of requests that wait answered at once.
    pub fn set_responder(
        &mut self,
        respond: impl Fn(&str, &[u8]) -> Option<Response> + Send + Sync + 'static,
    ) {
        self.store.data_mut().responder = Some(Arc::new(respond));
    }

    /// Answers what waits for an answer, as far as anything does. Whether anything did.
    pub(super) fn respond(&mut self, logged: usize) -> Result<bool, Trap> {
        let vm = self.store.data_mut();
        let Some(respond) = vm.responder.clone() else {
            return Ok(false);
        };
        let mut answered = false;
        for call in std::mem::take(&mut vm.called) {
            let cluster = String::from_utf8_lossy(&call.cluster).into_owned();
            match respond(&cluster, &call.body) {
                Some(response) => {
                    self.answer_call(&call, &response, logged)?;
                    answered = true;
                }
                None => self.store.data_mut().called.push(call),
            }
        }
        Ok(answered)
    }

    fn answer_call(
        &mut self,
        call: &OutgoingCall,
        response: &Response,
        logged: usize,
    ) -> Result<(), Trap> {
        let head = http::upstream_head(response, false);
        let count = |length| u32::try_from(length).expect("an answer fits wasm memory");
        let sizes = (count(head.len()), count(response.body.len()), 0_u32);
        let vm = self.store.data_mut();
        vm.effective_context = call.root;
        vm.answered = Some((head, response.body.clone()));
        let params = (call.root, call.number, sizes.0, sizes.1, sizes.2);
        let told = self.callback::<_, ()>("proxy_on_http_call_response", params, logged);
        let vm = self.store.data_mut();
        vm.answered = None;
        vm.effective_context = vm.root;
        told
    }

    /// Whether the module has trapped: the VM takes no further callback.
    pub fn has_failed(&self) -> bool {
        self.store.data().failed
    }

    /// How many requests the upstream has got as a whole.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// What the client has got of the last answer, none of it if there is none; also where the module trapped
    /// meanwhile.
    pub fn shown(&self) -> Option<&Response> {
        self.shown.as_ref()
    }

    /// This VM as it stands between two callbacks, once more, with a copy of all that its proxy
    /// remembers.
    pub fn fork(&self) -> FakeHost {
        let vm = self.store.data();
        let server = Arc::new(Mutex::new(vm.server().clone()));
        let loaded = FakeHost::instantiate_only(&self.module, server, vm.options.clone());
        let mut copy = loaded.expect("what was loaded once can be loaded again");
        copy.next_context = self.next_context;
        copy.passed = self.passed;
        copy.headers_stop_iteration = self.headers_stop_iteration;
        copy.buffer_limit = self.buffer_limit;
        copy_state(vm, copy.store.data_mut());
        let bytes = (vm.memory.expect("it is loaded"))
            .data(&self.store)
            .to_vec();
        let memory = copy.store.data().memory.expect("it is loaded");
        let has = memory.data_size(&copy.store);
        let more = bytes.len().saturating_sub(has) / PAGE;
        (memory.grow(&mut copy.store, more as u64)).expect("as much memory as before");
        memory.data_mut(&mut copy.store)[..bytes.len()].copy_from_slice(&bytes);
        copy
    }

    /// Lets the `n`-th allocation of the module from now on fail, and with `persists` all after
    /// it; 0 for none. For the module that is built with faults.
    pub fn fail_allocation(&mut self, n: u32, persists: bool) {
        let function = (self.instance)
            .get_typed_func::<(u32, u32), ()>(&self.store, "portcullis_fail_allocation");
        let function = function.expect("the module with faults: envoy/build.sh with-faults");
        (function.call(&mut self.store, (n, persists.into()))).expect("it sets three numbers");
    }

    /// How many allocations there were since [`fail_allocation`](Self::fail_allocation).
    pub fn allocations(&mut self) -> u32 {
        let function = self
            .instance
            .get_typed_func(&self.store, "portcullis_allocations");
        let function = function.expect("the module with faults: envoy/build.sh with-faults");
        function
            .call(&mut self.store, ())
            .expect("it reads a number")
    }

    /// How often each function was entered since the last call, in a module that
    /// [counts](crate::entries::counting).
    pub fn entries(&mut self) -> Vec<u32> {
        let memory = self.instance.get_memory(&self.store, entries::MEMORY);
        let memory = memory.expect("the module counts");
        let numbers = memory.data_mut(&mut self.store);
        let entries = numbers.chunks_exact(entries::WIDTH).map(|number| {
            let number = number.first_chunk().expect("it is as wide");
            u32::from_le_bytes(*number)
        });
        let entries = entries.collect();
        numbers.fill(0);
        entries
    }
}

fn copy_state(from: &Vm, to: &mut Vm) {
    to.configuration.clone_from(&from.configuration);
    to.stage = from.stage;
    to.log_level = from.log_level;
    to.metrics.clone_from(&from.metrics);
    to.properties.clone_from(&from.properties);
    to.functions.clone_from(&from.functions);
    to.random = from.random;
    to.failed = from.failed;
    to.roots.clone_from(&from.roots);
    to.root = from.root;
    to.clusters.clone_from(&from.clusters);
    to.called.clone_from(&from.called);
    to.last_call = from.last_call;
    to.effective_context = from.effective_context;
}

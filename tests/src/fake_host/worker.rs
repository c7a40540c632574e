//! A worker of the proxy: a VM, whether the filter is in its chain, and what traps make of both.
//!
//! What is not said elsewhere was measured on Envoy 1.36 and 1.40 with `FAIL_RELOAD`: a worker
//! whose VM traps while it takes a configuration up, or says no to it, serves without the filter
//! from then on; any other trap makes it answer 503 until the VM is made anew.

use super::{FakeHost, StartError, Trap, TrapKind};
use crate::wire::{Request, Response};

/// A worker that serves one listener.
pub struct Worker {
    vm: FakeHost,
    configuration: Vec<u8>,
    in_chain: bool,
}

/// What a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The service had the request as a whole.
    Passed,
    /// It did not, and this is the status.
    Refused(u16),
    /// It did not, and the client got no answer.
    Reset,
}

impl Worker {
    /// Takes a first configuration up in a VM that is loaded, after a first VM of the proxy's has
    /// accepted it.
    pub fn start(vm: FakeHost, configuration: &[u8]) -> Self {
        let mut worker = Self::unconfigured(vm);
        worker.take_up(configuration);
        worker
    }

    /// One that has no plugin yet; [`update`](Self::update) gives it one.
    pub fn unconfigured(vm: FakeHost) -> Self {
        Self {
            vm,
            configuration: Vec::new(),
            in_chain: false,
        }
    }

    /// Takes another up. What it had before lives on beside it until [`FakeHost::drain`].
    pub fn update(&mut self, configuration: &[u8]) {
        if self.vm.has_failed() {
            self.vm = self.another();
        }
        self.take_up(configuration);
    }

    fn take_up(&mut self, configuration: &[u8]) {
        self.configuration = configuration.to_vec();
        self.in_chain = self.vm.take_up(configuration).is_ok();
    }

    /// What Envoy does some time after a trap: a new VM, which stays away if it does not start.
    pub fn reload(&mut self) {
        if !self.in_chain || !self.vm.has_failed() {
            return;
        }
        let mut fresh = self.another();
        let taken: Result<(), StartError> = fresh.configure(&self.configuration);
        if taken.is_ok() {
            self.vm = fresh;
        }
    }

    fn another(&self) -> FakeHost {
        (self.vm.load_beside()).expect("what was loaded once can be loaded again")
    }

    /// Sends a request through it.
    pub fn ask(&mut self, request: &Request, upstream: &Response) -> Answer {
        const FAILED: u16 = 503;
        if !self.in_chain {
            return Answer::Passed;
        }
        let before = self.vm.passed();
        let exchange = self.vm.exchange(request, upstream);
        if self.vm.passed() > before {
            return Answer::Passed;
        }
        match exchange {
            Ok(exchange) if exchange.reset => Answer::Reset,
            Ok(exchange) => Answer::Refused(exchange.response.status),
            Err(Trap {
                kind: TrapKind::Hang,
                ..
            }) => Answer::Reset,
            Err(_) => Answer::Refused(FAILED),
        }
    }

    /// Whether requests meet the filter.
    pub fn is_in_chain(&self) -> bool {
        self.in_chain
    }

    /// Its VM.
    pub fn vm(&mut self) -> &mut FakeHost {
        &mut self.vm
    }

    /// The worker as it stands, once more.
    pub fn fork(&self) -> Self {
        Self {
            vm: self.vm.fork(),
            configuration: self.configuration.clone(),
            in_chain: self.in_chain,
        }
    }
}

//! Exchanges that a test leads from callback to callback: those that end early, late or side by side.

use super::course::Course;
use super::state::Stream;
use super::{FakeHost, Trap, http};
use crate::wire::{Request, Response, Version};

/// One callback of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// Its context is made.
    Made,
    /// The head of the request.
    Head,
    /// All of the request's body.
    Body,
    /// The request's trailers: none.
    Trailers,
    /// The head of the answer.
    Answer,
    /// All of the answer's body.
    AnswerBody,
    /// The answer's trailers: none.
    AnswerTrailers,
    /// The access log.
    Log,
    /// The end of its context.
    Done,
}

/// An exchange on its way.
#[derive(Debug)]
pub struct Led {
    id: u32,
    /// Away while a callback has it.
    stream: Option<Stream>,
}

impl Led {
    /// The status of the reply that the module has asked for.
    pub fn replied(&self) -> Option<u32> {
        let stream = self.stream.as_ref()?;
        stream.reply.as_ref().map(|reply| reply.status)
    }
}

impl FakeHost {
    /// The number of a context that is made now. Like Envoy's, numbers begin anew after the last, and none is given
    /// that the VM's own context or a plugin has.
    pub(super) fn new_context(&mut self) -> u32 {
        const OF_THE_VM: u32 = 0;
        loop {
            let id = self.next_context;
            self.next_context = id.wrapping_add(1);
            if id != OF_THE_VM && !self.store.data().roots.contains_key(&id) {
                return id;
            }
        }
    }

    /// From now on contexts have these numbers.
    pub fn number_contexts_from(&mut self, next: u32) {
        self.next_context = next;
    }

    /// An exchange of which the module has not heard.
    pub fn lead(&mut self) -> Led {
        let id = self.new_context();
        let now = self.server().now_nanos;
        Led {
            id,
            stream: Some(Stream::new(id, Version::default(), now)),
        }
    }

    /// Calls back once for an exchange. Whether it is held then.
    pub fn step(&mut self, led: &mut Led, step: Callback, request: &Request) -> Result<bool, Trap> {
        self.check_alive()?;
        let (id, logged) = (led.id, self.log().len());
        let vm = self.store.data_mut();
        (vm.effective_context, vm.stream) = (id, led.stream.take());
        let called = self.call_for(id, step, request, logged);
        let vm = self.store.data_mut();
        led.stream = vm.stream.take();
        vm.effective_context = vm.root;
        Ok(called? != 0)
    }

    fn call_for(
        &mut self,
        id: u32,
        step: Callback,
        request: &Request,
        logged: usize,
    ) -> Result<u32, Trap> {
        let root = self.store.data().root;
        let mut course = Course {
            id,
            logged,
            grpc: false,
            to_head: false,
            host: self,
        };
        let ends = u32::from(request.body.is_none());
        match step {
            Callback::Made => {
                let host = course.host;
                host.callback::<_, ()>("proxy_on_context_create", (id, root), logged)?;
                Ok(0)
            }
            Callback::Head => {
                let head = http::request_head(request, "1");
                let fields = size(head.len());
                course.stream(|stream| stream.request.open_headers(head));
                let host = course.host;
                host.callback("proxy_on_request_headers", (id, fields, ends), logged)
            }
            Callback::Body => {
                let body = request.body.iter().flatten().flatten();
                let body: Vec<u8> = body.copied().collect();
                let bytes = size(body.len());
                course.stream(|stream| stream.request.body = Some(body));
                let host = course.host;
                host.callback("proxy_on_request_body", (id, bytes, 1_u32), logged)
            }
            Callback::Trailers => {
                course.stream(|stream| stream.request.trailers_open = true);
                let host = course.host;
                host.callback("proxy_on_request_trailers", (id, 0_u32), logged)
            }
            Callback::Answer => {
                let answer = Response {
                    status: 200,
                    ..Response::default()
                };
                let head = http::upstream_head(&answer, false);
                let fields = size(head.len());
                course.stream(|stream| stream.response.open_headers(head));
                let host = course.host;
                host.callback("proxy_on_response_headers", (id, fields, 0_u32), logged)
            }
            Callback::AnswerBody => {
                course.stream(|stream| stream.response.body = Some(b"{}".to_vec()));
                let host = course.host;
                host.callback("proxy_on_response_body", (id, 2_u32, 1_u32), logged)
            }
            Callback::AnswerTrailers => {
                course.stream(|stream| stream.response.trailers_open = true);
                let host = course.host;
                host.callback("proxy_on_response_trailers", (id, 0_u32), logged)
            }
            Callback::Log => {
                course.stream(|stream| stream.logging = true);
                let host = course.host;
                host.callback::<_, ()>("proxy_on_log", id, logged)?;
                Ok(0)
            }
            Callback::Done => {
                course.stream(|stream| {
                    stream.logging = false;
                    stream.request.close();
                    stream.response.close();
                });
                let host = course.host;
                let is_done: u32 = host.callback("proxy_on_done", id, logged)?;
                assert_eq!(is_done, 1, "an exchange is never kept beyond its end");
                host.callback::<_, ()>("proxy_on_delete", id, logged)?;
                Ok(0)
            }
        }
    }

    /// What a proxy may have under way for a plugin that has ended: a tick, and answers to its calls.
    pub fn call_late(&mut self, root: u32, tokens: &[u32]) -> Result<(), Trap> {
        let logged = self.log().len();
        self.callback::<_, ()>("proxy_on_tick", root, logged)?;
        for token in tokens {
            let params = (root, *token, 0_u32, 0_u32, 0_u32);
            self.callback::<_, ()>("proxy_on_http_call_response", params, logged)?;
        }
        Ok(())
    }

    /// The newest plugin.
    pub fn newest_plugin(&self) -> u32 {
        self.store.data().root
    }

    /// The tokens of calls that wait for an answer.
    pub fn calls_under_way(&self) -> Vec<u32> {
        let called = self.store.data().called.iter();
        called.map(|call| call.number).collect()
    }
}

fn size(length: usize) -> u32 {
    u32::try_from(length).expect("a message fits wasm memory")
}

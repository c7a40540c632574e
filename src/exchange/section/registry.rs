//! What a document has the worker do beside judging.

use std::fmt;
use std::rc::Rc;

use crate::credentials::Credential;
use crate::edit::FilterStateKey;
use crate::fetched::Fetched;
use crate::gauges::Gauges;
use crate::host::Host;

/// What a document has the worker do beside judging; gathered from its sections and policies.
#[derive(Default)]
pub struct Registry {
    /// The variables of the VM's environment that are needed.
    pub environment: Vec<Variable>,
    /// What is fetched on a schedule.
    pub fetched: Vec<Rc<dyn Fetched>>,
    /// The names of the values that may be left for other filters.
    pub exports: Vec<FilterStateKey>,
    /// What says nothing any more from a moment on, in seconds since the epoch: places in the document.
    pub ending: Vec<(u32, Rc<str>)>,
    /// What is to be shown as a gauge.
    pub gauges: Gauges,
    /// What has something to do from time to time.
    pub ticks: Vec<Rc<dyn Ticking>>,
    /// What is taken up in the proxy, a line for each thing.
    pub memory_estimates: Vec<String>,
}

/// What has something to do from time to time, whether or not requests come.
pub trait Ticking {
    /// Does it: called a few times a second, in each worker.
    fn tick(&self, host: &dyn Host);
}

/// A variable of the VM's environment that a block needs.
pub struct Variable {
    /// Whose it is: `otlp_http`, or `provider corp`.
    place: String,
    name: String,
    /// What happens without it.
    without: String,
    check: Option<Box<EnvironmentCheck>>,
}

/// What an operator should know of a value.
type EnvironmentCheck = dyn Fn(&[u8]) -> Option<EnvironmentFault>;

/// What an operator should know of the environment of this VM. It quotes no value.
#[derive(Debug, PartialEq, Eq)]
pub struct EnvironmentFault {
    /// Whether something does not work at all for it.
    pub is_error: bool,
    /// The line for the log.
    pub text: String,
}

impl Registry {
    /// Has something fetched, and asks for what it needs for that.
    pub fn fetch(&mut self, fetched: Rc<dyn Fetched>) {
        let variables = fetched
            .credentials()
            .iter()
            .filter_map(Credential::variable);
        let without = format!("its {} are asked for without it", fetched.noun());
        let needed = variables.map(|name| Variable::new(fetched.place(), name, &*without));
        self.environment.extend(needed);
        self.fetched.push(fetched);
    }
}

impl Variable {
    /// A variable, and what happens without it.
    pub fn new(place: impl Into<String>, name: &str, without: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            name: name.to_owned(),
            without: without.into(),
            check: None,
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, with a look at its value. What that finds is told behind place and name.
    #[must_use]
    pub fn checked(self, check: impl Fn(&[u8]) -> Option<EnvironmentFault> + 'static) -> Self {
        Self {
            check: Some(Box::new(check)),
            ..self
        }
    }

    /// What an operator should know of it, as it is in this VM.
    ///
    /// A variable that is not there is no reason to refuse the document: another worker's VM might
    /// have it.
    pub fn fault(&self, host: &dyn Host) -> Option<EnvironmentFault> {
        let Self {
            place,
            name,
            without,
            check,
        } = self;
        let Some(value) = host.environment(name) else {
            return Some(EnvironmentFault {
                is_error: true,
                text: format!(
                    "{place}: the VM has no environment variable {name}; name it in vm_config.environment_variables. Until then {without}"
                ),
            });
        };
        let EnvironmentFault { is_error, text } = check.as_ref()?(&value)?;
        Some(EnvironmentFault {
            is_error,
            text: format!("{place}: the secret in the environment variable {name} {text}"),
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fetched, variables) = (self.fetched.len(), &self.environment);
        write!(f, "Registry({fetched} fetched, {variables:?})")
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable({}: {})", self.place, self.name)
    }
}

//! Secrets that only the environment of the VM knows.

use std::cell::OnceCell;
use std::fmt;

use portcullis_document::{Node, Problems};
use portcullis_exchange::host::Host;
use portcullis_exchange::section::EnvironmentFault;
use portcullis_wire::json::Json;

/// A secret in a variable of the VM's environment. The environment of a VM does not change, so it
/// is asked once, when the first token needs it; that it is not there is remembered too.
pub(super) struct EnvironmentSecret {
    variable: String,
    value: OnceCell<Option<Box<[u8]>>>,
}

/// What an operator should know of a secret of so many bytes, for algorithms that each need some at
/// least (RFC 7518 §3.2). Nothing is said of it but that it is too short.
pub(super) fn too_short(
    bytes: usize,
    algorithms: &[(&'static str, usize)],
) -> Option<EnvironmentFault> {
    let short = || algorithms.iter().filter(|(_, least)| bytes < *least);
    let needs: Vec<String> = short()
        .map(|(name, least)| format!("{name} needs {least} bytes at least"))
        .collect();
    let is_error = needs.len() == algorithms.len();
    let then = match is_error {
        _ if needs.is_empty() => return None,
        true => ". Until then its tokens are refused with 503",
        false => {
            "; tokens of that are refused with 503. If there are none, write `alg` beside `env`"
        }
    };
    Some(EnvironmentFault {
        is_error,
        text: format!("is too short: {}{then}", needs.join(", ")),
    })
}

impl EnvironmentSecret {
    pub(super) fn new(variable: String) -> Self {
        Self {
            variable,
            value: OnceCell::new(),
        }
    }

    /// Reads `{ env }`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if let Json::String(_) = node.json() {
            node.report(
                problems,
                "is the secret itself, it seems, and everybody can read it here; replace it, put the new one into a variable of vm_config.environment_variables, and write {\"env\": \"NAME\"}",
            );
            return None;
        }
        let mut fields = node.object(problems, "{\"env\": \"…\"}")?;
        let variable = fields
            .required("env", problems)
            .and_then(|node| read_variable(&node, problems));
        fields.deny_unknown(problems);
        variable.map(Self::new)
    }

    /// The name of the variable.
    pub(super) fn variable(&self) -> &str {
        &self.variable
    }

    /// The secret, if it is there.
    pub(super) fn value(&self, host: &dyn Host) -> Option<&[u8]> {
        let read = || host.environment(&self.variable).map(Vec::into_boxed_slice);
        self.value.get_or_init(read).as_deref()
    }
}

/// The name of a variable. It will stand in the log if there is none of that name, so it must not be
/// the secret itself, written in the wrong place.
pub(super) fn read_variable(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    const LONGEST: usize = 128;
    let name = node.non_empty(problems)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let usable = name.len() <= LONGEST && name.bytes().all(plain);
    if !usable {
        node.report(
            problems,
            "is not the name of a variable, which is made of letters, digits, `_`, `-` and `.`; the secret itself stands in vm_config.environment_variables",
        );
    }
    usable.then(|| name.to_owned())
}

/// The name, and nothing of the secret.
impl fmt::Debug for EnvironmentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvironmentSecret({})", self.variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_exchange::section::Variable;
    use portcullis_memory_host::MemoryHost;

    /// A proxy with one variable.
    fn proxy() -> MemoryHost {
        MemoryHost::new().with_variable("SECRET", "hush")
    }

    #[test]
    fn a_secret_is_missing_too_short_or_neither() {
        let fault = |variable: &str, algorithms: &'static [(&'static str, usize)]| {
            let variable = Variable::new("provider corp", variable, "nothing goes on");
            let variable = variable.checked(|value| too_short(value.len(), algorithms));
            let fault = variable.fault(&proxy());
            fault.map(|fault| (fault.is_error, fault.text))
        };
        let missing = "provider corp: the VM has no environment variable MISSING; name it in vm_config.environment_variables. Until then nothing goes on";
        assert_eq!(
            fault("MISSING", &[("HS256", 4)]),
            Some((true, missing.to_owned()))
        );
        assert_eq!(fault("SECRET", &[("HS256", 4)]), None);
        let short = "provider corp: the secret in the environment variable SECRET is too short: HS512 needs 5 bytes at least";
        let all = format!("{short}. Until then its tokens are refused with 503");
        assert_eq!(fault("SECRET", &[("HS512", 5)]), Some((true, all)));
        let some = format!(
            "{short}; tokens of that are refused with 503. If there are none, write `alg` beside `env`"
        );
        assert_eq!(
            fault("SECRET", &[("HS256", 4), ("HS512", 5)]),
            Some((false, some))
        );
    }

    #[test]
    fn the_environment_is_asked_once() {
        for (name, expected) in [("SECRET", Some(&b"hush"[..])), ("MISSING", None)] {
            let proxy = proxy();
            let secret = EnvironmentSecret::new(name.to_owned());
            for _ in 0..3 {
                assert_eq!(secret.value(&proxy), expected);
                // Whatever stands there now, it was asked before.
                proxy.set_variable(name, "another");
            }
            assert!(!format!("{secret:?}").contains("hush"));
        }
    }
}

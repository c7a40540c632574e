//! Header fields with which the filter asks others, a collector or a provider of keys: mostly
//! credentials, so nothing here prints values.

use crate::config::header::is_framing;
use crate::config::{Node, Problems};
use crate::headers::{HeaderName, HeaderValue};
use crate::host::Host;

/// One field.
pub(crate) struct Credential {
    name: HeaderName,
    /// As written, or the name of the variable of the VM's environment that holds it.
    value: String,
    in_environment: bool,
}

impl Credential {
    /// Reads `headers`.
    pub(crate) fn read_all(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Self>> {
        let mut all = Vec::new();
        let mut good = true;
        for (name, node) in node.entries(problems)? {
            match Self::read(name, &node, problems) {
                Some(read) => all.push(read),
                None => good = false,
            }
        }
        good.then_some(all)
    }

    fn read(name: &str, node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let in_environment = node.json().as_object().is_some();
        let value = if in_environment {
            let mut fields = node.fields(problems)?;
            let variable = fields.required("env", problems);
            fields.finish(problems);
            variable?.name(problems)?
        } else {
            node.name(problems)?
        };
        let parsed = HeaderName::parse(name);
        match (parsed, HeaderValue::parse(value.as_bytes())) {
            (Err(error), _) | (_, Err(error)) => node.report(problems, error),
            (Ok(name), _) if is_framing(&name) => {
                node.report(problems, "frames or routes messages; it cannot be set");
            }
            (Ok(name), _) if matches!(name.as_str(), "accept" | "content-type") => {
                node.report(problems, "is set by the filter itself");
            }
            (Ok(name), Ok(_)) => {
                return Some(Self {
                    name,
                    value: value.to_owned(),
                    in_environment,
                });
            }
        }
        None
    }

    /// The field's name.
    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What the document says of its value: that, or the variable that holds it.
    pub(crate) fn written(&self) -> &str {
        &self.value
    }

    /// The variable that holds it, if one does.
    pub(crate) fn variable(&self) -> Option<&str> {
        self.in_environment.then_some(&self.value)
    }

    /// Name and value; none if the environment has no usable value.
    pub(crate) fn field(&self, host: &dyn Host) -> Option<(&str, String)> {
        let value = match self.variable() {
            None => self.value.clone(),
            Some(variable) => {
                let value = host.environment(variable)?;
                HeaderValue::parse(&value).ok()?;
                String::from_utf8(value).ok()?
            }
        };
        Some((self.name.as_str(), value))
    }
}

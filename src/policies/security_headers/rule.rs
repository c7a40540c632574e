//! What becomes of single header fields, as the document says it.

use super::presets::Preset;
use portcullis_document::header::{changeable, read_changeable};
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::json::Json;

/// What becomes of one header field.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: HeaderName,
    pub(super) change: Change,
    pub(super) when: When,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write(HeaderValue, Action),
    Remove,
}

/// What becomes of the service's own field of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Ours replaces it.
    Overwrite,
    /// It stays, and ours is not written.
    IfAbsent,
}

/// On which answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// Those for one caller: to requests whose credentials were accepted, and the filter's own.
    Authenticated,
}

impl Action {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        node.choice(
            problems,
            &[
                ("overwrite", Action::Overwrite),
                ("if_absent", Action::IfAbsent),
            ],
        )
    }
}

/// The rules of a block, each for another name, in the order in which they were written.
#[derive(Debug)]
pub(super) struct Rules {
    list: Vec<Rule>,
    /// Whether it is known what the preset sets.
    known: bool,
    /// Of rules that do not say.
    action: Action,
    /// Names that the block itself has named, and that nothing may name again.
    named: Vec<HeaderName>,
}

impl Rules {
    /// The rules of a preset; none if it is not known, because it could not be read.
    pub(super) fn of_preset(preset: Option<Preset>, action: Action) -> Self {
        let rule = |(name, value, when): &(&str, &str, When)| {
            let value = HeaderValue::parse(value.as_bytes()).ok()?;
            Some(Rule {
                name: HeaderName::parse(name).ok()?,
                change: Change::Write(value, action),
                when: *when,
            })
        };
        Self {
            list: preset
                .iter()
                .flat_map(|preset| preset.fields())
                .filter_map(rule)
                .collect(),
            known: preset.is_some(),
            action,
            named: Vec::new(),
        }
    }

    /// Puts a rule in place of the preset's. The block must not have named that header before.
    pub(super) fn put(&mut self, rule: Rule, node: &Node<'_>, problems: &mut Problems) {
        if self.claim(&rule.name, node, problems) {
            self.list.retain(|each| each.name != rule.name);
            self.list.push(rule);
        }
    }

    /// Reads `remove`.
    pub(super) fn read_remove(&mut self, node: &Node<'_>, problems: &mut Problems) -> Option<()> {
        self.read_names(node, problems, |rules, name| {
            rules.list.push(Rule {
                name,
                change: Change::Remove,
                when: When::Always,
            });
        })
    }

    /// Reads `keep`: what the service sent under these names stays, or stays away.
    pub(super) fn read_keep(&mut self, node: &Node<'_>, problems: &mut Problems) -> Option<()> {
        self.read_names(node, problems, |_, _| {})
    }

    fn read_names(
        &mut self,
        node: &Node<'_>,
        problems: &mut Problems,
        mut take: impl FnMut(&mut Self, HeaderName),
    ) -> Option<()> {
        let read = node.list(problems, |node, problems| {
            let name = read_changeable(node, problems)?;
            if self.claim(&name, node, problems) {
                self.list.retain(|each| each.name != name);
                take(self, name);
            }
            Some(())
        });
        read.map(|_| ())
    }

    fn claim(&mut self, name: &HeaderName, node: &Node<'_>, problems: &mut Problems) -> bool {
        let first = !self.named.contains(name);
        if first {
            self.named.push(name.clone());
        } else {
            let name = Quoted(name.as_str());
            node.report(
                problems,
                format_args!("this block names the header {name} twice"),
            );
        }
        first
    }

    pub(super) fn action(&self) -> Action {
        self.action
    }

    pub(super) fn into_parts(self) -> (Vec<Rule>, Vec<HeaderName>) {
        (self.list, self.named)
    }

    /// Reads `set`: values by name. A value is a string, or an object that says more.
    pub(super) fn read_set(&mut self, node: &Node<'_>, problems: &mut Problems) -> Option<()> {
        let mut whole = Some(());
        for (written, node) in node.members(problems)? {
            let name = changeable(&node, HeaderName::parse(written), problems);
            let written = self.read_written(name.as_ref(), &node, problems);
            match name.zip(written) {
                Some((name, (Change::Write(_, Action::Overwrite), _)))
                    if name.as_str() == "set-cookie" =>
                {
                    node.report(
                        problems,
                        "would take the place of every cookie that the service sets; say `\"action\": \"if_absent\"`, or let `cookies` add what its cookies lack",
                    );
                    whole = None;
                }
                Some((name, (change, when))) => {
                    let rule = Rule { name, change, when };
                    self.put(rule, &node, problems);
                }
                None => whole = None,
            }
        }
        whole
    }

    /// What stands behind a name in `set`.
    fn read_written(
        &self,
        name: Option<&HeaderName>,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<(Change, When)> {
        let preset = self.list.iter().find(|rule| Some(&rule.name) == name);
        if !matches!(node.json(), Json::Object(_)) {
            let value = read_value(node, problems)?;
            return Some((Change::Write(value, self.action), When::Always));
        }
        let mut fields: Fields<'_> = node.fields(problems)?;
        let value = fields.optional("value");
        let action = fields.or_default("action", self.action, problems, Action::read);
        let when = fields.optional("when");
        fields.deny_unknown(problems);
        let (value, inherited) = match (value, preset) {
            (Some(node), _) => (read_value(&node, problems), When::Always),
            (None, Some(rule)) => match &rule.change {
                Change::Write(value, _) => (Some(value.clone()), rule.when),
                Change::Remove => (None, rule.when),
            },
            (None, None) if !self.known => (None, When::Always),
            (None, None) => {
                problems.lacks(
                    node.pointer(),
                    "lacks the field \"value\": the preset has none for this header",
                );
                (None, When::Always)
            }
        };
        let when = match when {
            None => Some(inherited),
            Some(node) => node.choice(
                problems,
                &[
                    ("always", When::Always),
                    ("authenticated", When::Authenticated),
                ],
            ),
        };
        Some((Change::Write(value?, action?), when?))
    }
}

fn read_value(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderValue> {
    HeaderValue::parse(node.text(problems)?.as_bytes())
        .map_err(|error| node.report(problems, error))
        .ok()
}

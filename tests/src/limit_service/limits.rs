//! What is limited: the configuration file of the reference implementation, `envoyproxy/ratelimit`.

use serde::Deserialize;

use super::messages::{Entry, Unit};

/// A file of limits, read from YAML.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) domain: String,
    pub(super) descriptors: Vec<Rule>,
}

/// Fits an entry of a descriptor; the rules in it, the entry after that.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    key: String,
    value: Option<String>,
    rate_limit: Option<Limit>,
    #[serde(default)]
    descriptors: Vec<Rule>,
}

/// So many requests in each minute, or hour.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limit {
    unit: UnitName,
    pub(super) requests_per_unit: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnitName {
    Second,
    Minute,
    Hour,
    Day,
}

impl Limits {
    /// The limit of the rule that fits all entries, one by one. A rule with the value of an entry
    /// comes before a rule without value.
    pub(super) fn find(&self, entries: &[Entry]) -> Option<Limit> {
        let mut rules = &self.descriptors;
        let mut found = None;
        for entry in entries {
            let fits = |value: Option<&str>| {
                let fits = |rule: &&Rule| rule.key == entry.key && rule.value.as_deref() == value;
                rules.iter().find(fits)
            };
            let rule = fits(Some(&entry.value)).or_else(|| fits(None))?;
            found = rule.rate_limit;
            rules = &rule.descriptors;
        }
        found
    }
}

impl Limit {
    pub(super) fn unit(self) -> Unit {
        match self.unit {
            UnitName::Second => Unit::Second,
            UnitName::Minute => Unit::Minute,
            UnitName::Hour => Unit::Hour,
            UnitName::Day => Unit::Day,
        }
    }

    pub(super) fn seconds(self) -> u64 {
        match self.unit {
            UnitName::Second => 1,
            UnitName::Minute => 60,
            UnitName::Hour => 3600,
            UnitName::Day => 24 * 3600,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(entries: &[(&str, &str)]) -> Option<u32> {
        let limit = |requests| json!({ "unit": "minute", "requests_per_unit": requests });
        let limits: Limits = serde_json::from_value(json!({ "domain": "d", "descriptors": [
            { "key": "plan", "value": "gold", "descriptors": [{ "key": "user", "rate_limit": limit(9) }] },
            { "key": "plan", "descriptors": [{ "key": "user", "rate_limit": limit(3) }] },
            { "key": "user", "value": "mallory", "rate_limit": limit(0) },
            { "key": "user", "rate_limit": limit(5) },
        ] }))
        .unwrap();
        let entries: Vec<Entry> = entries
            .iter()
            .map(|&(key, value)| Entry {
                key: key.into(),
                value: value.into(),
            })
            .collect();
        limits.find(&entries).map(|limit| limit.requests_per_unit)
    }

    #[test]
    fn the_rule_that_fits_all_entries_counts() {
        assert_eq!(found(&[("user", "alice")]), Some(5));
        assert_eq!(found(&[("user", "mallory")]), Some(0));
        assert_eq!(found(&[("plan", "gold"), ("user", "alice")]), Some(9));
        assert_eq!(found(&[("plan", "free"), ("user", "alice")]), Some(3));
        assert_eq!(found(&[("plan", "gold")]), None);
        assert_eq!(found(&[("user", "alice"), ("plan", "gold")]), None);
        assert_eq!(found(&[("address", "192.0.2.1")]), None);
    }
}

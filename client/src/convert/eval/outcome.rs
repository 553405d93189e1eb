//! What assignments make of a name, one after the other.

use super::lookup::at;
use super::{Evaluator, Place, Value};
use crate::convert::model::Text;
use crate::convert::syntax::{Binding, Change, Kind};

impl Evaluator<'_> {
    /// What bindings of one name make of it, in their order.
    pub(super) fn outcome(&mut self, all: &[&Binding], place: Place) -> Option<Value> {
        let is_set = |b: &&Binding| matches!(b.change, Change::Set);
        let certain = all.iter().rposition(|b| is_set(b) && !b.conditional);
        let from = certain.or_else(|| all.iter().position(is_set))?;
        if let [only] = &all[from..]
            && let Kind::Import(module, name) = &only.value.kind
        {
            return self.imported(module, name);
        }
        let sets = all[from..].iter().filter(|b| is_set(b));
        let mut values = Vec::new();
        for binding in sets {
            let at = at(binding, place);
            values.push(
                self.eval(&binding.value, at)
                    .or_source(&self.source(&binding.value, at)),
            );
        }
        let single = values.len() == 1;
        let first = values.first().cloned();
        let mut value = if single {
            first?
        } else {
            self.one_of(all, from, values, place)
        };
        value = self.changed(value, &all[from..], place);
        Some(value)
    }

    /// What changes make of a value, in their order.
    pub(super) fn changed(&mut self, mut value: Value, all: &[&Binding], place: Place) -> Value {
        for binding in all {
            let at = at(binding, place);
            match &binding.change {
                Change::Set => {}
                Change::Insert(key) => {
                    let key = self.eval(key, at).to_text().value();
                    let entry = self
                        .eval(&binding.value, at)
                        .or_source(&self.source(&binding.value, at));
                    let entry = self.entry_of(binding, &value, key.as_deref(), entry, place);
                    value.insert(key, entry, binding.value.line);
                }
                Change::Merge if binding.conditional => {
                    let mut other = Value::Map(Vec::new());
                    other.merge(self.eval(&binding.value, at));
                    let Value::Map(entries) = other else { continue };
                    for entry in entries {
                        let key = entry.key.as_deref();
                        let of_branch = self.entry_of(binding, &value, key, entry.value, place);
                        value.insert(entry.key, of_branch, entry.line);
                    }
                }
                Change::Merge => {
                    let other = self.eval(&binding.value, at);
                    value.merge(other);
                }
                Change::Default(key) => {
                    let key = self.eval(key, at).to_text().value();
                    if key.as_ref().is_none_or(|key| value.get(key).is_none()) {
                        let entry = self.eval(&binding.value, at);
                        let entry = self.entry_of(binding, &value, key.as_deref(), entry, place);
                        value.insert(key, entry, binding.value.line);
                    }
                }
                Change::Remove(key) => {
                    let key = key
                        .as_ref()
                        .and_then(|k| self.eval(k, at).to_text().value());
                    let is_removed =
                        !binding.conditional && key.as_deref().is_some_and(|key| value.remove(key));
                    if !is_removed {
                        value = self.in_branch(binding, &binding.name, place);
                    }
                }
                Change::Append if binding.conditional => {
                    value = self.in_branch(binding, &binding.name, place);
                }
                Change::Append => value = value.plus(self.eval(&binding.value, at)),
            }
        }
        value
    }

    /// An entry as a binding leaves it: one that a branch changes is not known.
    fn entry_of(
        &self,
        binding: &Binding,
        map: &Value,
        key: Option<&str>,
        entry: Value,
        place: Place,
    ) -> Value {
        let before = key.and_then(|key| map.get(key));
        match (before, key) {
            (before, Some(key)) if binding.conditional && before.as_ref() != Some(&entry) => {
                self.in_branch(binding, &format!("{}[{key}]", binding.name), place)
            }
            _ => entry,
        }
    }

    fn in_branch(&self, binding: &Binding, what: &str, place: Place) -> Value {
        let file = self.program(place).map_or("", |p| p.file.as_str());
        let line = binding.value.line;
        let how = if binding.conditional {
            "in a branch in"
        } else {
            "in"
        };
        let question = format!("{what}, which {file} changes {how} line {line}");
        Value::Text(Text::unknown(question))
    }

    /// A name that is assigned in several branches.
    fn one_of(&self, all: &[&Binding], from: usize, values: Vec<Value>, place: Place) -> Value {
        let lines: Vec<String> = all[from..]
            .iter()
            .filter(|b| matches!(b.change, Change::Set))
            .map(|b| b.value.line.to_string())
            .collect();
        let name = all.first().map_or("", |b| b.name.as_str());
        let file = self.program(place).map_or("", |p| p.file.as_str());
        let question = format!("{name}, which {file} assigns in lines {}", lines.join(", "));
        Value::agreed(values).unwrap_or_else(|| Value::Text(Text::unknown(question)))
    }
}

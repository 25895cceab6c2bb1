//! As much of JSON Schema as the manifest's schema uses. Patterns are not looked at; a word that is new here panics.

use serde_json::{Map, Value};

/// Whether `value` is what `schema`, a part of `root`, asks for.
pub(crate) fn takes(root: &Value, schema: &Value, value: &Value) -> bool {
    let Value::Object(schema) = schema else { return schema == true };
    schema.iter().all(|(word, rule)| holds(root, schema, word, rule, value))
}

fn holds(root: &Value, schema: &Map<String, Value>, word: &str, rule: &Value, value: &Value) -> bool {
    let taking =
        |rule: &Value| rule.as_array().unwrap().iter().filter(|schema| takes(root, schema, value)).count();
    match word {
        "$ref" => takes(root, root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
        "type" => match rule {
            Value::Array(types) => types.iter().any(|name| is(name, value)),
            name => is(name, value),
        },
        "const" => value == rule,
        "enum" => rule.as_array().unwrap().contains(value),
        "anyOf" => taking(rule) > 0,
        "oneOf" => taking(rule) == 1,
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
        "maxLength" => {
            value.as_str().is_none_or(|text| text.chars().count() <= rule.as_u64().unwrap() as usize)
        }
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| takes(root, rule, item))),
        "required" => value.as_object().is_none_or(|object| {
            rule.as_array().unwrap().iter().all(|key| object.contains_key(key.as_str().unwrap()))
        }),
        "properties" => value.as_object().is_none_or(|object| {
            let known = object.iter().filter_map(|(key, value)| Some((rule.get(key)?, value)));
            known.into_iter().all(|(schema, value)| takes(root, schema, value))
        }),
        // Here a table has patterns or properties, and its one pattern is for every key.
        "patternProperties" => value.as_object().is_none_or(|object| {
            let schema = rule.as_object().unwrap().values().next().unwrap();
            object.values().all(|value| takes(root, schema, value))
        }),
        "additionalProperties" if schema.contains_key("patternProperties") => true,
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let known = |key: &str| schema.get("properties").is_some_and(|known| known.get(key).is_some());
            object.iter().all(|(key, value)| known(key) || takes(root, rule, value))
        }),
        "$schema" | "$defs" | "title" | "description" | "default" | "format" | "pattern" => true,
        _ => panic!("`{word}` is new in the schema"),
    }
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        name => panic!("`{name}` is new in the schema"),
    }
}

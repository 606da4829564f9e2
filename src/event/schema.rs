//! The published JSON Schema, generated from the types. `RELAYSCOPE_BLESS=1 cargo test schema` writes it anew.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::labels::{Flag, Sub};
use super::{
    CaptureQuality, FindingRecord, FlowRecord, JoinedFlow, LegsRecord, MethodCounts, Methods, SessionRecord, Stats,
};
use crate::time::Timestamp;

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339, in UTC, with nanoseconds.",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$"
        })
    }
}

impl JsonSchema for Methods {
    fn schema_name() -> Cow<'static, str> {
        "Methods".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let counts = generator.subschema_for::<MethodCounts>();
        json_schema!({
            "type": "object",
            "description": "STUN exchanges by method name.",
            "additionalProperties": counts
        })
    }
}

/// The schema of a line of NDJSON.
fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let records = [
        generator.subschema_for::<FlowRecord<'_>>(),
        generator.subschema_for::<SessionRecord>(),
        generator.subschema_for::<FindingRecord>(),
        generator.subschema_for::<CaptureQuality>(),
        generator.subschema_for::<Stats>(),
        generator.subschema_for::<LegsRecord>(),
        generator.subschema_for::<JoinedFlow>(),
    ];
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of relayscope, a line of its NDJSON",
        "description": "Absent means not seen; null is not used. Fields may be added.",
        "oneOf": records,
        "$defs": generator.take_definitions(true),
    });
    without_null(&mut schema);
    schema
}

/// An absent field is left out and never null, which the derive does not know.
fn without_null(value: &mut Value) {
    if let Some(types) = value.get_mut("type").filter(|t| t.is_array()) {
        let kept: Vec<_> = types.as_array().unwrap().iter().filter(|t| *t != "null").cloned().collect();
        *types = if kept.len() == 1 { kept[0].clone() } else { kept.into() };
    }
    if let Some(any) = value.get_mut("anyOf").and_then(Value::as_array_mut) {
        any.retain(|s| s.get("type").is_none_or(|t| t != "null"));
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(without_null),
        Value::Array(list) => list.iter_mut().for_each(without_null),
        _ => {}
    }
}

#[test]
fn the_published_schema_is_what_the_types_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema.json");
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("RELAYSCOPE_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(published == text, "docs/schema.json is stale: RELAYSCOPE_BLESS=1 cargo test schema");
}

/// Every property of a record has a meaning, and every word that a flow may have stands there.
#[test]
fn what_is_told_is_described() {
    let schema = schema();
    for record in ["Stats", "StatsInterval", "FlowRecord", "FlowCounts", "CaptureQuality", "FindingRecord"] {
        let properties = schema["$defs"][record]["properties"].as_object().unwrap();
        let bare: Vec<_> =
            properties.iter().filter(|(_, p)| p.get("description").is_none()).map(|(name, _)| name).collect();
        assert!(bare.is_empty(), "{record}: {bare:?}");
    }
    let flow = &schema["$defs"]["FlowRecord"]["properties"];
    let words = |property: &str| flow[property]["description"].as_str().unwrap().to_owned();
    let (subclass, flags) = (words("subclass"), words("flags"));
    for word in Sub::ALL {
        assert!(subclass.contains(&format!("`{}`", word.name())), "{}", word.name());
    }
    for word in Flag::ALL {
        assert!(flags.contains(&format!("`{}`", word.name())), "{}", word.name());
    }
}

#[test]
fn samples_have_what_the_schema_requires() {
    let schema = schema();
    let relay = serde_json::to_value(crate::present::sample::relay()).unwrap();
    let flow = &schema["$defs"]["FlowRecord"];
    for required in flow["required"].as_array().unwrap() {
        assert!(relay.get(required.as_str().unwrap()).is_some(), "{required}");
    }
    for name in relay.as_object().unwrap().keys() {
        assert!(flow["properties"].get(name).is_some(), "{name}");
    }
    assert!(!schema.to_string().contains("\"null\""));
}

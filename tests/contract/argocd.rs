//! Argo CD's health checks and actions: the scripts under `gitops/argocd/`, run as Argo CD runs
//! them.
//!
//! It has Lua 5.1 with the basic functions and `table`, and behind `require("os")` nothing but
//! `date` and `time` (`util/lua/lua.go` there). A script that needs more fails here as it would
//! there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value as LuaValue};
use serde_json::{Map, Number, Value, json};

/// Where the scripts are: folders as Argo CD has them in its own tree.
pub fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("gitops/argocd/resource_customizations/aep-export.dev")
        .join(kind)
}

/// A script of a kind.
pub fn script(kind: &str, name: &str) -> String {
    let path = folder(kind).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What Argo CD says of an object: status and message.
pub fn health(object: &Value) -> (String, String) {
    // Of what is being deleted it asks no script.
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return ("Progressing".into(), "Pending deletion".into());
    }
    let told = run(
        &script(object["kind"].as_str().unwrap(), "health.lua"),
        object,
    );
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    let (status, message) = (text("status"), text("message"));
    let known = ["Healthy", "Progressing", "Suspended", "Degraded"];
    assert!(known.contains(&status.as_str()), "{status:?} of {object}");
    (status, message)
}

/// The actions that Argo CD offers for an object, and whether each is disabled.
pub fn actions(object: &Value) -> Vec<(String, bool)> {
    let kind = object["kind"].as_str().unwrap();
    let told = run(&script(kind, "actions/discovery.lua"), object);
    let told = told.as_object().unwrap().iter();
    told.map(|(name, it)| (name.clone(), it["disabled"].as_bool().unwrap_or_default()))
        .collect()
}

/// What an action makes of an object.
pub fn act(object: &Value, action: &str) -> Value {
    let kind = object["kind"].as_str().unwrap();
    let path = format!("actions/{action}/action.lua");
    clean(run(&script(kind, &path), object), object)
}

/// Runs a script with an object as `obj`, and gives the table that it returns.
fn run(script: &str, object: &Value) -> Value {
    let libraries = StdLib::TABLE | StdLib::PACKAGE | StdLib::OS;
    let lua = Lua::new_with(libraries, LuaOptions::default()).unwrap();
    bound(&lua);
    lua.globals().set("obj", into_lua(&lua, object)).unwrap();
    match lua.load(script).eval() {
        Ok(LuaValue::Table(table)) => from_table(&table),
        Ok(other) => panic!("a script returns {other:?}"),
        Err(error) => panic!("{error}\n{object}"),
    }
}

/// Leaves of `os` what Argo CD has, where it has it.
fn bound(lua: &Lua) {
    let globals = lua.globals();
    let os: Table = globals.get("os").unwrap();
    let few = lua.create_table().unwrap();
    for name in ["date", "time"] {
        few.set(name, os.get::<Function>(name).unwrap()).unwrap();
    }
    globals.set("os", LuaValue::Nil).unwrap();
    let package: Table = globals.get("package").unwrap();
    let loaded: Table = package.get("loaded").unwrap();
    loaded.set("os", few).unwrap();
}

fn into_lua(lua: &Lua, value: &Value) -> LuaValue {
    match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(it) => LuaValue::Boolean(*it),
        Value::Number(it) => LuaValue::Number(it.as_f64().unwrap()),
        Value::String(it) => LuaValue::String(lua.create_string(it).unwrap()),
        Value::Array(items) => {
            let items = items.iter().map(|item| into_lua(lua, item));
            LuaValue::Table(lua.create_sequence_from(items).unwrap())
        }
        Value::Object(map) => {
            let pairs = map
                .iter()
                .map(|(key, item)| (key.as_str(), into_lua(lua, item)));
            LuaValue::Table(lua.create_table_from(pairs).unwrap())
        }
    }
}

fn from_lua(value: &LuaValue) -> Value {
    match value {
        LuaValue::Boolean(it) => json!(it),
        LuaValue::Integer(it) => json!(it),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "Lua 5.1 has no whole numbers"
        )]
        LuaValue::Number(it) if it.fract() == 0.0 => Value::Number(Number::from(*it as i64)),
        LuaValue::Number(it) => json!(it),
        LuaValue::String(it) => json!(it.to_str().unwrap().to_owned()),
        LuaValue::Table(table) => from_table(table),
        other => panic!("no JSON: {other:?}"),
    }
}

/// A table without a pair is taken for an empty list, as Argo CD does.
fn from_table(table: &Table) -> Value {
    let pairs: Vec<(LuaValue, LuaValue)> = table.pairs().map(Result::unwrap).collect();
    if pairs.len() == table.raw_len() {
        let items = table.sequence_values().map(|item| from_lua(&item.unwrap()));
        return items.collect();
    }
    let mut map = Map::new();
    for (key, value) in pairs {
        let LuaValue::String(key) = key else {
            panic!("a key of an object is {key:?}");
        };
        map.insert(key.to_str().unwrap().to_owned(), from_lua(&value));
    }
    Value::Object(map)
}

/// Makes empty lists objects again where the object had them, as Argo CD does.
fn clean(made: Value, before: &Value) -> Value {
    match (made, before) {
        (Value::Array(items), Value::Object(map)) if items.is_empty() && map.is_empty() => {
            json!({})
        }
        (Value::Array(items), Value::Array(old)) => {
            let items = items.into_iter().enumerate();
            items
                .map(|(i, item)| clean(item, old.get(i).unwrap_or(&Value::Null)))
                .collect()
        }
        (Value::Object(map), Value::Object(old)) => {
            let entry = |(key, item): (String, Value)| {
                let item = clean(item, old.get(&key).unwrap_or(&Value::Null));
                (key, item)
            };
            Value::Object(map.into_iter().map(entry).collect())
        }
        (made, _) => made,
    }
}

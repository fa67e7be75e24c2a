//! Assembles the shaders and emits the kernel table.
//!
//! A shader starts with comment lines that say what it is made of: `// use: step, index` appends
//! `shaders/lib/step.wgsl` and `index.wgsl` after the kernel (so that error lines stay those of the
//! file), and `// variant NAME: ROWS = 8, VECS = 1` makes a copy with those constants, for what
//! WGSL's `override` cannot express: the sizes of register tiles. The bindings are read off the
//! declarations. Nothing is validated here; a unit test walks the table with wgpu's own naga, which
//! spares every build from compiling naga twice.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

struct Variant {
    name: String,
    constants: Vec<(String, u32)>,
}

fn main() {
    println!("cargo::rerun-if-changed=shaders");
    println!("cargo::rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let shaders = root.join("shaders");
    let mut names: Vec<String> = fs::read_dir(&shaders)
        .expect("shaders/ is part of the package")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "wgsl"))
        .map(|path| stem(&path))
        .collect();
    names.sort();

    let mut table = String::from(
        "/// Every shader and variant, by name.\npub static SHADERS: &[Shader] = &[\n",
    );
    for name in &names {
        emit(&mut table, &shaders, name);
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("shaders.rs"), table).expect("OUT_DIR is writable");
}

fn emit(table: &mut String, shaders: &Path, name: &str) {
    let body = read(&shaders.join(format!("{name}.wgsl")));
    let mut libraries = String::new();
    let mut variants = Vec::new();
    for line in body.lines().take_while(|line| line.starts_with("//")) {
        let line = line.trim_start_matches('/').trim();
        if let Some(list) = line.strip_prefix("use:") {
            for library in list.split(',').map(str::trim) {
                libraries += "\n";
                libraries += &read(&shaders.join("lib").join(format!("{library}.wgsl")));
            }
        } else if let Some(rest) = line.strip_prefix("variant ") {
            variants.push(variant(name, rest));
        }
    }
    if variants.is_empty() {
        variants.push(Variant {
            name: String::new(),
            constants: Vec::new(),
        });
    }
    let uses_step = libraries.contains("@group(1)");
    let access: Vec<&str> = body
        .lines()
        .filter(|line| line.starts_with("@group(0) @binding("))
        .map(|line| match line {
            l if l.contains("var<uniform>") => "Access::Uniform",
            l if l.contains("var<storage, read>") => "Access::Read",
            l if l.contains("var<storage, read_write>") => "Access::ReadWrite",
            l => panic!("shaders/{name}.wgsl: cannot read the binding `{l}`"),
        })
        .collect();
    for variant in variants {
        let mut source = body.clone() + &libraries;
        for (constant, value) in &variant.constants {
            writeln!(source, "const {constant}: u32 = {value}u;").expect("a String");
        }
        let constants: Vec<String> = variant
            .constants
            .iter()
            .map(|(constant, value)| format!("({constant:?}, {value})"))
            .collect();
        writeln!(
            table,
            "    Shader {{ name: {name:?}, variant: {:?}, constants: &[{}], access: &[{}], uses_step: {uses_step}, source: {source:?} }},",
            variant.name,
            constants.join(", "),
            access.join(", "),
        )
        .expect("a String");
    }
}

/// Parses `16x8: ROWS = 16, VECS = 2`.
fn variant(shader: &str, text: &str) -> Variant {
    let bad = || -> ! { panic!("shaders/{shader}.wgsl: cannot read `variant {text}`") };
    let Some((name, list)) = text.split_once(':') else {
        bad()
    };
    let constants = list
        .split(',')
        .map(|pair| match pair.split_once('=') {
            Some((constant, value)) => match value.trim().parse() {
                Ok(value) => (constant.trim().to_string(), value),
                Err(_) => bad(),
            },
            None => bad(),
        })
        .collect();
    Variant {
        name: name.trim().to_string(),
        constants,
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .and_then(|s| s.to_str())
        .expect("shader names are plain")
        .to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

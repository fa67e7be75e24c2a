//! Assembles the shaders and emits the kernel table.
//!
//! A shader starts with comment lines that say what it is made of: `// use: step, index` appends
//! `shaders/lib/step.wgsl` and `index.wgsl` after the kernel (so that error lines stay those of the
//! file), `// variant NAME: ROWS = 8, VECS = 1` makes a copy with those constants, for what
//! WGSL's `override` cannot express: the sizes of register tiles, and `// tiles: stream, block` makes
//! a copy for each variant of `shaders/lib/tile_stream.wgsl` and `tile_block.wgsl`, which have such
//! lines of their own. The bindings are read off the declarations. Nothing is validated here; a unit
//! test walks the table with wgpu's own naga, which spares every build from compiling naga twice.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// A copy of a shader.
struct Variant {
    name: String,
    /// The file under `shaders/lib` that makes its product, without `tile_` and `.wgsl`.
    tile: String,
    constants: Vec<(String, u32)>,
    source: String,
}

/// What the comment lines at a file's head ask for.
#[derive(Default)]
struct Head {
    libraries: Vec<String>,
    tiles: Vec<String>,
    variants: Vec<(String, Vec<(String, u32)>)>,
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
    let head = head(name, &body);
    let library = |name: &str| "\n".to_string() + &read(&shaders.join(format!("lib/{name}.wgsl")));
    let with = |libraries: &[String]| {
        let texts = libraries.iter().map(|name| library(name));
        body.clone() + &texts.collect::<String>()
    };
    let mut variants = Vec::new();
    for tile in &head.tiles {
        let file = format!("tile_{tile}");
        let core = library(&file);
        let of_tile = self::head(&file, core.trim_start());
        let source = with(&[head.libraries.clone(), of_tile.libraries].concat()) + &core;
        for (name, constants) in of_tile.variants {
            let (tile, source) = (tile.clone(), source.clone());
            variants.push(Variant {
                name,
                tile,
                constants,
                source,
            });
        }
    }
    for (name, constants) in head.variants {
        let (tile, source) = (String::new(), with(&head.libraries));
        variants.push(Variant {
            name,
            tile,
            constants,
            source,
        });
    }
    if variants.is_empty() {
        variants.push(Variant {
            name: String::new(),
            tile: String::new(),
            constants: Vec::new(),
            source: with(&head.libraries),
        });
    }
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
    for Variant {
        name: variant,
        tile,
        constants,
        mut source,
    } in variants
    {
        for (constant, value) in &constants {
            writeln!(source, "const {constant}: u32 = {value}u;").expect("a String");
        }
        let constants: Vec<String> = constants
            .iter()
            .map(|(constant, value)| format!("({constant:?}, {value})"))
            .collect();
        let uses_step = source.contains("@group(1)");
        let subgroups = source.contains("subgroupBroadcast(");
        writeln!(
            table,
            "    Shader {{ name: {name:?}, variant: {variant:?}, tile: {tile:?}, constants: &[{}], access: &[{}], uses_step: {uses_step}, subgroups: {subgroups}, source: {source:?} }},",
            constants.join(", "),
            access.join(", "),
        )
        .expect("a String");
    }
}

fn head(file: &str, body: &str) -> Head {
    let mut head = Head::default();
    let list = |text: &str| {
        text.split(',')
            .map(|name| name.trim().to_string())
            .collect()
    };
    for line in body.lines().take_while(|line| line.starts_with("//")) {
        let line = line.trim_start_matches('/').trim();
        if let Some(names) = line.strip_prefix("use:") {
            head.libraries = list(names);
        } else if let Some(names) = line.strip_prefix("tiles:") {
            head.tiles = list(names);
        } else if let Some(rest) = line.strip_prefix("variant ") {
            head.variants.push(variant(file, rest));
        }
    }
    head
}

/// Parses `16x8: ROWS = 16, VECS = 2`.
fn variant(file: &str, text: &str) -> (String, Vec<(String, u32)>) {
    let bad = || -> ! { panic!("{file}.wgsl: cannot read `variant {text}`") };
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
    (name.trim().to_string(), constants)
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

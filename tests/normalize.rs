//! The normalisation of pictures and vectors against NumPy's: tests/reference/normalize.py.

use std::collections::BTreeMap;
use std::path::Path;

use gpu_train::data::load::load;
use gpu_train::data::options::DataOptions;
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    scale: Vec<f64>,
    centre: Vec<f64>,
}

#[test]
fn numpy_agrees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let text = std::fs::read_to_string(folder.join("normalize.json")).unwrap();
    let reference: BTreeMap<String, BTreeMap<String, Table>> = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for (name, ways) in &reference {
        let path = folder.join(format!("normalize/{name}.npz"));
        for (how, want) in ways {
            let options = DataOptions {
                normalize: Some(how.clone()),
                ..DataOptions::default()
            };
            let loaded = load(&path.display().to_string(), &options, false).unwrap();
            let got = &loaded.normalization;
            let pairs = [(&got.scale, &want.scale), (&got.centre, &want.centre)];
            for (got, want) in pairs {
                assert_eq!(got.len(), want.len(), "{name}, {how}");
                for (got, want) in got.iter().zip(want) {
                    // The table is f32: half a unit in the last place.
                    let off = (f64::from(*got) - want).abs();
                    assert!(off <= 6e-8 * want.abs(), "{name}, {how}: {got} and {want}");
                    checked += 1;
                }
            }
            let inputs = loaded.data.shape.len();
            let covered = got.scale.len() * got.span;
            assert_eq!(covered, inputs, "{name}, {how}: entries cover the inputs");
        }
    }
    assert!(checked > 40, "only {checked} numbers");
}

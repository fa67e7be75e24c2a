//! Whether two data sets are the same, without keeping either.

use serde::{Deserialize, Serialize};

use super::{Dataset, Samples, Targets};

/// Sizes, and a checksum over samples, targets and parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub train: usize,
    pub val: usize,
    pub test: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub crc: u32,
}

impl Fingerprint {
    pub fn of(data: &Dataset) -> Fingerprint {
        let mut crc = flate2::Crc::new();
        match &data.samples {
            Samples::Bytes(bytes) => crc.update(bytes),
            Samples::Floats(floats) => crc.update(bytemuck::cast_slice(floats)),
        }
        match &data.targets {
            Targets::Classes { labels, names } => {
                crc.update(bytemuck::cast_slice(labels));
                for name in names {
                    crc.update(name.as_bytes());
                    crc.update(&[0]);
                }
            }
            Targets::Values { values, .. } => crc.update(bytemuck::cast_slice(values)),
        }
        let shape = [data.shape.channels, data.shape.height, data.shape.width];
        crc.update(bytemuck::cast_slice(&shape.map(|side| side as u64)));
        let parts = &data.parts;
        for part in [&parts.train, &parts.val, &parts.test] {
            crc.update(bytemuck::cast_slice(part));
        }
        Fingerprint {
            train: parts.train.len(),
            val: parts.val.len(),
            test: parts.test.len(),
            inputs: data.shape.len(),
            outputs: data.outputs(),
            crc: crc.sum(),
        }
    }

    /// How `now` differs from what this was taken of; nothing where it does not.
    pub fn difference(&self, now: &Fingerprint) -> Option<String> {
        let counts = [
            ("training samples", self.train, now.train),
            ("validation samples", self.val, now.val),
            ("test samples", self.test, now.test),
            ("inputs", self.inputs, now.inputs),
            ("outputs", self.outputs, now.outputs),
        ];
        let changed: Vec<String> = counts
            .into_iter()
            .filter(|(_, was, is)| was != is)
            .map(|(what, was, is)| format!("{was} {what} then, {is} now"))
            .collect();
        match (changed.is_empty(), self.crc == now.crc) {
            (true, true) => None,
            (true, false) => Some("as many samples, but other contents".to_string()),
            (false, _) => Some(changed.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageShape, Parts};

    fn data(values: Vec<f32>, labels: Vec<u32>) -> Dataset {
        Dataset {
            name: "x".to_string(),
            shape: ImageShape::vector(1),
            parts: Parts {
                train: (0..labels.len() as u32).collect(),
                ..Parts::default()
            },
            samples: Samples::Floats(values),
            targets: Targets::Classes {
                labels,
                names: vec!["a".to_string(), "b".to_string()],
            },
            names: Vec::new(),
        }
    }

    #[test]
    fn a_changed_value_label_or_count_shows() {
        let was = Fingerprint::of(&data(vec![1.0, 2.0], vec![0, 1]));
        let same = Fingerprint::of(&data(vec![1.0, 2.0], vec![0, 1]));
        assert_eq!(was.difference(&same), None);
        for now in [
            data(vec![1.0, 2.5], vec![0, 1]),
            data(vec![1.0, 2.0], vec![1, 1]),
        ] {
            let said = was.difference(&Fingerprint::of(&now)).unwrap();
            assert!(said.contains("other contents"), "{said}");
        }
        let now = Fingerprint::of(&data(vec![1.0], vec![0]));
        let said = was.difference(&now).unwrap();
        assert_eq!(said, "2 training samples then, 1 now");
    }
}

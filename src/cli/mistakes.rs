//! What a model got most wrong, as the page of a run shows it.

use super::tested::{Run, argmax};
use crate::data::{Dataset, Samples, Targets};
use crate::plan::Loss;
use crate::report::html::Verdict;
use crate::report::thumbnail::thumbnail;

/// Worst mistakes that the page shows.
const MISTAKES: usize = 24;
/// Pixels of a thumbnail's side.
const THUMBNAIL: u32 = 84;
/// Columns of a table that the page shows of a row.
const COLUMNS: usize = 8;

/// The samples that the model got most wrong, worst first.
pub struct Wrong {
    list: Vec<Mistake>,
}

struct Mistake {
    sample: usize,
    truth: String,
    prediction: String,
    probability: Option<f64>,
    name: String,
}

impl Wrong {
    pub fn of(run: &Run) -> Wrong {
        let Some(tested) = run.tested else {
            return Wrong { list: Vec::new() };
        };
        let data = &run.setup.loaded.data;
        let width = data.outputs();
        let mut all: Vec<(f64, Mistake)> = Vec::new();
        let tests = data.parts.test.iter().enumerate();
        for ((place, &ix), outputs) in tests.zip(tested.outputs.chunks(width)) {
            let ix = ix as usize;
            let (badness, truth, prediction, probability) = match &data.targets {
                Targets::Classes { labels, names } => {
                    let (label, predicted) = (labels[ix] as usize, argmax(outputs) as usize);
                    if label == predicted {
                        continue;
                    }
                    let sure = f64::from(outputs[predicted] - outputs[label]);
                    let probability = run.setup.config.loss() == Loss::CrossEntropy;
                    let probability = probability.then(|| f64::from(outputs[predicted]));
                    (
                        sure,
                        names[label].clone(),
                        names[predicted].clone(),
                        probability,
                    )
                }
                Targets::Values { values, .. } => {
                    let (truth, predicted) = (values[ix], outputs[0]);
                    let off = f64::from((truth - predicted).abs());
                    (off, truth.to_string(), predicted.to_string(), None)
                }
            };
            // As `predict` takes it, where no file tells more.
            let name = match data.names.get(ix).filter(|name| !name.is_empty()) {
                Some(name) => name.clone(),
                None => format!("{}:{place}", run.setup.config.source),
            };
            all.push((
                badness,
                Mistake {
                    sample: ix,
                    truth,
                    prediction,
                    probability,
                    name,
                },
            ));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.sample.cmp(&b.1.sample)));
        let list = all.into_iter().take(MISTAKES).map(|(_, mistake)| mistake);
        Wrong {
            list: list.collect(),
        }
    }

    pub fn verdicts(&self) -> Vec<Verdict<'_>> {
        self.list
            .iter()
            .map(|m| Verdict {
                truth: &m.truth,
                prediction: &m.prediction,
                probability: m.probability,
                sample: &m.name,
            })
            .collect()
    }

    /// A PNG a mistake; none where the samples are no pictures.
    pub fn thumbnails(&self, run: &Run) -> Vec<Vec<u8>> {
        let data = &run.setup.loaded.data;
        if data.shape.is_vector() {
            return Vec::new();
        }
        let shape = [data.shape.channels, data.shape.height, data.shape.width];
        let of = |m: &Mistake| thumbnail(&bytes_of(data, m.sample), shape, THUMBNAIL).ok();
        self.list.iter().filter_map(of).collect()
    }

    /// The first columns of a table, and the rows of the mistakes; nothing for pictures.
    pub fn rows(&self, run: &Run) -> (Vec<String>, Vec<Vec<String>>) {
        let data = &run.setup.loaded.data;
        let (Samples::Floats(all), true) = (&data.samples, data.shape.is_vector()) else {
            return (Vec::new(), Vec::new());
        };
        let width = data.shape.len();
        let names = match &run.setup.loaded.table {
            Some(table) => table.encoder.input_names(),
            None => (0..width).map(|ix| format!("input {ix}")).collect(),
        };
        let row = |m: &Mistake| -> Vec<String> {
            let values = &all[m.sample * width..][..width.min(COLUMNS)];
            values.iter().map(f32::to_string).collect()
        };
        let rows = self.list.iter().map(row).collect();
        (names.into_iter().take(COLUMNS).collect(), rows)
    }
}

/// A sample's pixels; floats are stretched from their least to their most.
fn bytes_of(data: &Dataset, ix: usize) -> Vec<u8> {
    let len = data.shape.len();
    match &data.samples {
        Samples::Bytes(all) => all[ix * len..][..len].to_vec(),
        Samples::Floats(all) => {
            let values = &all[ix * len..][..len];
            let low = values.iter().copied().fold(f32::INFINITY, f32::min);
            let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let scale = if high > low {
                255.0 / (high - low)
            } else {
                0.0
            };
            values.iter().map(|&v| ((v - low) * scale) as u8).collect()
        }
    }
}

//! burn as a peer of gpu-train: the protocol of benches/peers/peer.py, see there.
//!
//! A batch is gathered in host memory and handed over, as burn's own batchers do: 60,000 images as f32,
//! 188 MB, pass the 128 MiB that a WebGPU binding may hold by default. Kernel fusion and autotune are on,
//! and the host waits once an epoch. Variants: flex (burn's CPU back end) and wgpu.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn::tensor::{DeviceKind, TensorData};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(widths: &[usize], device: &Device) -> Self {
        let layers = widths.windows(2).map(|w| LinearConfig::new(w[0], w[1]).init(device)).collect();
        Self { layers }
    }

    /// [B, in] -> [B, classes], the raw outputs.
    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (ix, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if ix + 1 < self.layers.len() {
                x = relu(x);
            }
        }
        x
    }
}

struct Training {
    model: Mlp,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    pixels: Vec<f32>,
    labels: Vec<i32>,
    order: Vec<usize>,
    rng: SmallRng,
    batch: usize,
    max_batches: usize,
    device: Device,
}

impl Training {
    /// Pixels [B, inputs] and labels [B] of the samples `rows`.
    fn gather(&self, rows: &[usize]) -> (Tensor<2>, Tensor<1, Int>) {
        let width = self.pixels.len() / self.labels.len();
        let mut pixels = Vec::with_capacity(rows.len() * width);
        for row in rows {
            pixels.extend_from_slice(&self.pixels[row * width..(row + 1) * width]);
        }
        let labels: Vec<i32> = rows.iter().map(|&row| self.labels[row]).collect();
        let x = TensorData::new(pixels, [rows.len(), width]);
        let y = TensorData::new(labels, [rows.len()]);
        (Tensor::from_data(x, &self.device), Tensor::from_data(y, &self.device))
    }

    /// One shuffled epoch, or its first `max_batches`: samples trained, and their mean loss.
    fn epoch(&mut self) -> (usize, f32) {
        self.order.shuffle(&mut self.rng);
        let mut total = Tensor::<1>::zeros([1], &self.device.clone().inner());
        let mut samples = 0;
        for rows in self.order.chunks(self.batch).take(self.max_batches) {
            let n = rows.len();
            let (x, y) = self.gather(rows);
            let loss = self.loss.forward(self.model.forward(x), y);
            total = total + loss.clone().inner() * n as f32;
            let grads = GradientsParams::from_grads(loss.backward(), &self.model);
            self.model = self.optimizer.step(1e-3, self.model.clone(), grads);
            samples += n;
        }
        let total: f32 = total.into_scalar();
        self.device.sync().expect("the device finishes its work");
        (samples, total / samples as f32)
    }
}

/// What follows `--name` on the command line.
fn option(name: &str) -> String {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.nth(1).unwrap_or_else(|| panic!("{name} VALUE is missing; benches/peers/run.py gives it"))
}

fn number(name: &str) -> usize {
    option(name).parse().unwrap_or_else(|_| panic!("{name} takes a number"))
}

fn idx(folder: &str, name: &str, header: usize) -> Vec<u8> {
    let path = Path::new(folder).join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    bytes[header..].to_vec()
}

fn answer(line: String) {
    println!("{line}");
    std::io::stdout().flush().expect("standard output takes the answer");
}

fn main() {
    let device = match option("--variant").as_str() {
        "flex" => Device::flex(),
        "wgpu" => Device::wgpu(DeviceKind::DefaultDevice),
        other => panic!("--variant {other}: flex or wgpu"),
    }
    .autodiff();
    device.seed(0);
    let widths: Vec<usize> =
        option("--layers").split('-').map(|width| width.parse().expect("--layers 784-128-10")).collect();
    let folder = option("--data");
    let pixels: Vec<f32> =
        idx(&folder, "train-images-idx3-ubyte", 16).iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let labels: Vec<i32> =
        idx(&folder, "train-labels-idx1-ubyte", 8).iter().map(|&label| i32::from(label)).collect();
    let order = (0..labels.len()).collect();
    let mut training = Training {
        model: Mlp::new(&widths, &device),
        optimizer: AdamConfig::new().with_epsilon(1e-8).init(),
        loss: CrossEntropyLossConfig::new().init(&device),
        pixels,
        labels,
        order,
        rng: SmallRng::seed_from_u64(0),
        batch: number("--batch"),
        max_batches: match number("--max-batches") {
            0 => usize::MAX,
            some => some,
        },
        device: device.clone(),
    };
    training.epoch();
    let described = format!("{device:?}").replace(['"', '\\'], "'");
    answer(format!(r#"{{"ready": true, "version": "burn 0.22.1", "device": "{described}"}}"#));
    for line in std::io::stdin().lock().lines() {
        assert_eq!(line.expect("standard input is text"), "go");
        let start = Instant::now();
        let (samples, loss) = training.epoch();
        let seconds = start.elapsed().as_secs_f64();
        answer(format!(r#"{{"seconds": {seconds}, "samples": {samples}, "loss": {loss}}}"#));
    }
}

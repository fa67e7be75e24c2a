//! `--dump-plan`: a plan as text, one line per buffer and dispatch.

use std::fmt;

use super::*;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "plan: {} member{}, {} parameters each, {:.1} MB in {} buffers",
            self.members,
            if self.members == 1 { "" } else { "s" },
            self.n_parameters(),
            self.bytes() as f64 / 1e6,
            self.buffers.len()
        )?;
        for param in &self.params {
            writeln!(
                f,
                "  param {:<12} [{}, {}] at {}",
                param.name, param.rows, param.cols, param.offset
            )?;
        }
        for (ix, buffer) in self.buffers.iter().enumerate() {
            writeln!(
                f,
                "  %{ix:<3} {:<34} {:?} x {}",
                buffer.label, buffer.dtype, buffer.len
            )?;
        }
        for (name, pass) in [("train", &self.train), ("eval", &self.eval)] {
            writeln!(
                f,
                "{name}: {} dispatches a step, batch {}, up to {} steps uploaded ahead",
                pass.per_step.len(),
                pass.batch,
                pass.capacity
            )?;
            for dispatch in &pass.per_step {
                writeln!(f, "  {dispatch}")?;
            }
            for dispatch in &pass.per_range {
                writeln!(f, "  once per submit: {dispatch}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let n_inputs = self.buffers.len() - self.kernel.n_outputs();
        let ids = |ids: &[BufferId]| {
            let names: Vec<String> = ids.iter().map(|id| format!("%{}", id.0)).collect();
            names.join(" ")
        };
        write!(
            f,
            "{:<30} {}  {} -> {}",
            self.label,
            self.kernel,
            ids(&self.buffers[..n_inputs]),
            ids(&self.buffers[n_inputs..])
        )
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.name())?;
        match self {
            Kernel::Matmul {
                shape,
                orientation,
                epilogue,
                accumulate,
                bias_grad,
            } => {
                write!(f, " {orientation:?} {}x{}x{}", shape.m, shape.n, shape.k)?;
                match epilogue {
                    Epilogue::None => {}
                    Epilogue::Bias(Activation::None) => write!(f, " + bias")?,
                    Epilogue::Bias(act) => write!(f, " + bias + {act}")?,
                    Epilogue::ActivationGrad(act) => write!(f, " * {act}'")?,
                }
                if *bias_grad {
                    write!(f, " + bias gradient")?;
                }
                if *accumulate {
                    write!(f, ", adds")?;
                }
                Ok(())
            }
            Kernel::Gather(p) => write!(f, " {}x{}", p.batch, p.cols),
            Kernel::Activation(p, act) | Kernel::ActivationGrad(p, act) => {
                write!(f, " {act} {}x{}", p.rows, p.cols)
            }
            Kernel::Add(p) => write!(f, " {}x{}", p.rows, p.cols),
            Kernel::Dropout(p) => write!(f, " {}x{}", p.rows, p.cols),
            Kernel::SoftmaxXent(p) => write!(f, " {}x{}", p.batch, p.classes),
            Kernel::RegressionLoss(p, error, targets) => {
                write!(
                    f,
                    " {error:?} error of {targets:?} {}x{}",
                    p.batch, p.classes
                )
            }
            Kernel::LinearXent(p, act) => {
                write!(f, " {}x{}x{}", p.batch, p.classes, p.inputs)?;
                match act {
                    Activation::None => Ok(()),
                    act => write!(f, ", dx * {act}'"),
                }
            }
            Kernel::Confusion(p) => write!(f, " {}x{}", p.batch, p.classes),
            Kernel::ReduceMetrics(p) => write!(f, " batch {}", p.batch),
            Kernel::GradNorm(p) => write!(f, " {} in {} parts", p.n, p.n_partials),
            Kernel::Optimizer(p) => write!(f, " {}", p.n),
            Kernel::WeightUpdate(p) => write!(f, " {}x{}x{}", p.m, p.n, p.k),
            Kernel::Accumulate(p) => write!(f, " {}", p.n),
            Kernel::Ema(p) => write!(f, " {}", p.n),
            Kernel::MaxNorm(p) => write!(f, " {}x{}", p.rows, p.cols),
            Kernel::BatchNorm(p) | Kernel::BatchNormGrad(p) => {
                write!(f, " {}x{}", p.rows, p.cols)?;
                match p.running {
                    0 => Ok(()),
                    _ => write!(f, " by running statistics"),
                }
            }
            Kernel::LayerNorm(p) | Kernel::LayerNormGrad(p) => write!(f, " {}x{}", p.rows, p.cols),
        }
    }
}

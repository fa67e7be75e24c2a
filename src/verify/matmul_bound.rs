//! The bound of a matrix product and its epilogue.
//!
//! Any order of the k products, fused or not, is off by at most gamma_k |A| |B|; |A| |B| is what the
//! f64 oracle makes of the inputs' magnitudes. Then, with z the exact product:
//!
//! - accumulate: one more term, gamma_(k+1) (|A| |B| + |c|);
//! - f(z + bias): the addition rounds; f passes an error e on as L e, L its Lipschitz constant, and
//!   is itself as accurate as [`Bounded`] says at z;
//! - z f'(saved): the error times |f'|, f' as accurate as [`Bounded`] says, and a product's rounding.

use super::bounded::{Bounded, U, gamma};
use super::case::Case;
use crate::Result;
use crate::cpu::Cpu;
use crate::plan::{Activation, BufferId, Epilogue, Kernel};

/// The bound of each element of c's buffer; zero where the kernel writes nothing.
///
/// # Panics
/// If the case is not a matrix product.
pub fn bounds(case: &Case) -> Result<Vec<f64>> {
    let Kernel::Matmul {
        shape: p,
        orientation,
        epilogue,
        accumulate,
        bias_grad,
    } = *case.kernel()
    else {
        panic!("{} is not a matrix product", case.label);
    };
    let [a, b, e, c] = case.dispatch().buffers[..] else {
        panic!("a matrix product has four buffers");
    };
    let zero_c = |magnitudes: bool| -> Vec<(BufferId, Vec<u32>)> {
        let change = |id: BufferId, word: u32| match id {
            id if id == c => 0,
            id if magnitudes && (id == a || id == b) => word & 0x7FFF_FFFF,
            _ => word,
        };
        let contents = case.contents.iter();
        contents
            .map(|(id, words)| (*id, words.iter().map(|&w| change(*id, w)).collect()))
            .collect()
    };
    let product = Kernel::Matmul {
        shape: p,
        orientation,
        epilogue: Epilogue::None,
        accumulate: false,
        bias_grad,
    };
    let exact = floats(&case.with(product, zero_c(false)), c)?;
    let magnitude = floats(&case.with(product, zero_c(true)), c)?;
    let before = contents(case, c);
    let operand = contents(case, e);

    let g = gamma(f64::from(p.k) + f64::from(u8::from(accumulate)));
    let held = |at: usize| match accumulate {
        true => before[at].abs(),
        false => 0.0,
    };
    let mut bounds = vec![0.0; exact.len()];
    for member in 0..case.plan.members {
        let c0 = p.c_offset as usize + member * p.c_stride as usize;
        let e0 = p.e_offset as usize + member * p.e_stride as usize;
        for m in 0..p.m as usize {
            for n in 0..p.n as usize {
                let at = c0 + m * p.ldc as usize + n;
                let error = g * (magnitude[at] + held(at));
                bounds[at] = match epilogue {
                    Epilogue::None => error,
                    Epilogue::Bias(act) => {
                        let z = Bounded::new(exact[at], error) + Bounded::exact(operand[e0 + n]);
                        let own = act.apply(Bounded::exact(z.value)).error;
                        lipschitz(act) * z.error + own
                    }
                    Epilogue::ActivationGrad(act) => {
                        let saved = Bounded::exact(operand[e0 + m * p.ldc as usize + n]);
                        (Bounded::new(exact[at], error) * act.derivative(saved)).error
                    }
                };
            }
        }
        if bias_grad {
            let d0 = p.d_offset as usize + member * p.c_stride as usize;
            for at in d0..d0 + p.m as usize {
                bounds[at] = g * (magnitude[at] + held(at));
            }
        }
    }
    Ok(bounds)
}

/// The largest |f'|, and a little for the f's own error being taken at z instead of beside it.
fn lipschitz(act: Activation) -> f64 {
    let largest = match act {
        Activation::None | Activation::Relu | Activation::LeakyRelu | Activation::Tanh => 1.0,
        Activation::Sigmoid => 0.25,
        // At sqrt 2: Phi(sqrt 2) + sqrt 2 phi(sqrt 2) = 1.1290.
        Activation::Gelu => 1.13,
    };
    largest + 1024.0 * U
}

fn floats(case: &Case, id: BufferId) -> Result<Vec<f64>> {
    let mut cpu = Cpu::<f64>::new(case.plan.clone(), 1)?;
    case.run(&mut cpu)?;
    Ok(cpu.floats(id).to_vec())
}

fn contents(case: &Case, id: BufferId) -> Vec<f64> {
    let found = case.contents.iter().find(|(buffer, _)| *buffer == id);
    let (_, words) = found.expect("every buffer of a case has contents");
    words
        .iter()
        .map(|&w| f64::from(f32::from_bits(w)))
        .collect()
}

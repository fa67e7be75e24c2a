//! Minimisation within a box by a projected limited-memory BFGS method: two-loop recursion over the
//! variables that no bound holds (Nocedal and Wright 2006, algorithm 7.4), backtracking along the
//! projected path.

/// Pairs of steps and gradient changes that are kept.
const MEMORY: usize = 10;

/// Halvings of a step before a direction is given up.
const MAX_HALVINGS: usize = 25;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest entry of the projected gradient that counts as none.
    pub gradient: f64,
    pub iterations: usize,
}

/// Where it stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    pub x: Vec<f64>,
    pub value: f64,
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
}

/// Minimises `f`, which fills in its gradient, from `start` within `low..=high` of each variable. A
/// value of `f` that is not finite is taken for a step too far.
pub fn minimise(
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
    start: &[f64],
    (low, high): (&[f64], &[f64]),
    limits: Limits,
) -> Minimum {
    let n = start.len();
    let project = |x: &mut [f64]| {
        for ((x, low), high) in x.iter_mut().zip(low).zip(high) {
            *x = x.clamp(*low, *high);
        }
    };
    let mut x = start.to_vec();
    project(&mut x);
    let mut gradient = vec![0.0; n];
    let mut value = f(&x, &mut gradient);
    let mut pairs: Vec<Pair> = Vec::new();
    for _ in 0..limits.iterations {
        let is_free = |i: usize| match gradient[i] {
            g if g > 0.0 => x[i] > low[i],
            _ => x[i] < high[i],
        };
        let free: Vec<usize> = (0..n).filter(|&i| is_free(i)).collect();
        let reach = |&i: &usize| ((x[i] - gradient[i]).clamp(low[i], high[i]) - x[i]).abs();
        let largest = free.iter().map(reach).fold(0.0, f64::max);
        if !value.is_finite() || largest <= limits.gradient {
            break;
        }
        let direction = descent(&gradient, &pairs, &free);
        let mut length = 1.0;
        let mut next_gradient = vec![0.0; n];
        let found = (0..MAX_HALVINGS).find_map(|_| {
            let mut next = x.clone();
            free.iter().for_each(|&i| next[i] += length * direction[i]);
            project(&mut next);
            let slope: f64 = (0..n).map(|i| gradient[i] * (next[i] - x[i])).sum();
            let next_value = f(&next, &mut next_gradient);
            length *= 0.5;
            (next_value <= value + 1e-4 * slope && slope < 0.0).then_some((next, next_value))
        });
        let Some((next, next_value)) = found else {
            if pairs.is_empty() {
                break;
            }
            pairs.clear();
            continue;
        };
        let pair = Pair {
            step: next.iter().zip(&x).map(|(a, b)| a - b).collect(),
            change: next_gradient
                .iter()
                .zip(&gradient)
                .map(|(a, b)| a - b)
                .collect(),
        };
        pairs.push(pair);
        if pairs.len() > MEMORY {
            pairs.remove(0);
        }
        let gain = value - next_value;
        let scale = value.abs().max(next_value.abs()).max(1.0);
        (x, value, gradient) = (next, next_value, next_gradient);
        if gain <= 2.2e-9 * scale {
            break;
        }
    }
    Minimum { x, value }
}

/// -H g over the free variables, where the pairs tell of the inverse Hessian H; 0 elsewhere. The first
/// step is no longer than 1.
fn descent(gradient: &[f64], pairs: &[Pair], free: &[usize]) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| free.iter().map(|&i| a[i] * b[i]).sum::<f64>();
    let mut direction = vec![0.0; gradient.len()];
    free.iter().for_each(|&i| direction[i] = -gradient[i]);
    let curved = |pair: &&Pair| {
        let curvature = dot(&pair.step, &pair.change);
        curvature > 1e-12 * dot(&pair.change, &pair.change)
    };
    let pairs: Vec<&Pair> = pairs.iter().filter(curved).collect();
    let Some(last) = pairs.last() else {
        let norm = dot(gradient, gradient).sqrt();
        direction.iter_mut().for_each(|d| *d /= norm.max(1.0));
        return direction;
    };
    let mut shares = vec![0.0; pairs.len()];
    for (share, pair) in shares.iter_mut().zip(&pairs).rev() {
        *share = dot(&pair.step, &direction) / dot(&pair.step, &pair.change);
        free.iter()
            .for_each(|&i| direction[i] -= *share * pair.change[i]);
    }
    let scale = dot(&last.step, &last.change) / dot(&last.change, &last.change);
    direction.iter_mut().for_each(|d| *d *= scale);
    for (share, pair) in shares.iter().zip(&pairs) {
        let back = dot(&pair.change, &direction) / dot(&pair.step, &pair.change);
        free.iter()
            .for_each(|&i| direction[i] += (share - back) * pair.step[i]);
    }
    direction
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        gradient: 1e-8,
        iterations: 500,
    };

    fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut value = 0.0;
        for i in 0..x.len() - 1 {
            let (bend, gap) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            value += 100.0 * bend * bend + gap * gap;
            gradient[i] += -400.0 * x[i] * bend - 2.0 * gap;
            gradient[i + 1] += 200.0 * bend;
        }
        value
    }

    #[test]
    fn it_solves_rosenbrock() {
        let bounds = ([-10.0; 6], [10.0; 6]);
        let found = minimise(rosenbrock, &[-1.0; 6], (&bounds.0, &bounds.1), LIMITS);
        // It stops at a gain of 2.2e-9.
        assert!(
            found.value < 1e-6 || (found.value - 3.97).abs() < 0.1,
            "{found:?}"
        );
        let found = minimise(rosenbrock, &[0.5; 6], (&bounds.0, &bounds.1), LIMITS);
        assert!(found.value < 1e-6, "{found:?}");
    }

    #[test]
    fn bounds_hold_and_are_left_again() {
        // The minimum over the box is where x = 0.5 and y = x^2.
        let bounds = ([-2.0, -2.0], [0.5, 2.0]);
        let found = minimise(rosenbrock, &[-2.0, 2.0], (&bounds.0, &bounds.1), LIMITS);
        assert!((found.x[0] - 0.5).abs() < 1e-6, "{found:?}");
        assert!((found.x[1] - 0.25).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn a_cliff_is_backed_away_from() {
        let log_barrier = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 1.0 - 1e-3 / x[0];
            x[0] - 1e-3 * x[0].ln()
        };
        let found = minimise(log_barrier, &[5.0], (&[-9.0], &[9.0]), LIMITS);
        assert!((found.x[0] - 1e-3).abs() < 1e-5, "{found:?}");
    }
}

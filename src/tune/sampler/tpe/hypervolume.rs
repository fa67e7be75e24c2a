//! The best of trials with several objectives: whole fronts, and of the last one those that cover
//! the greatest hypervolume.

use crate::tune::pareto;
use crate::tune::trial::Direction;

/// Indices of the `n` best of some points, one value per objective each.
pub fn best(values: &[Vec<f64>], directions: &[Direction], n: usize) -> Vec<usize> {
    let ranks = pareto::ranks(values, directions);
    let mut chosen = Vec::with_capacity(n);
    for rank in 0..values.len() {
        let front: Vec<usize> = (0..values.len()).filter(|&ix| ranks[ix] == rank).collect();
        let room = n - chosen.len();
        if front.len() > room {
            let points: Vec<Vec<f64>> = front
                .iter()
                .map(|&ix| losses(&values[ix], directions))
                .collect();
            let covering = most_covering(&points, room);
            chosen.extend(covering.into_iter().map(|ix| front[ix]));
            break;
        }
        chosen.extend(front);
    }
    chosen
}

/// The values as ones to be made small; what is no number is the worst.
fn losses(values: &[f64], directions: &[Direction]) -> Vec<f64> {
    let of = |(value, direction): (&f64, &Direction)| match direction.as_loss(*value) {
        loss if loss.is_nan() => f64::INFINITY,
        loss => loss,
    };
    values.iter().zip(directions).map(of).collect()
}

/// Chooses `n` points one after the other, each the one that adds the most hypervolume (at least
/// 1 - 1/e of the most that n points can have). The reference point lies a tenth past the worst
/// values, as in Optuna.
fn most_covering(points: &[Vec<f64>], n: usize) -> Vec<usize> {
    let reference: Vec<f64> = (0..points[0].len())
        .map(|objective| {
            let values = points.iter().map(|point| point[objective]);
            let worst = values.fold(f64::NEG_INFINITY, f64::max);
            match (1.1 * worst).max(0.9 * worst) {
                0.0 => 1e-12,
                past => past,
            }
        })
        .collect();
    if !reference.iter().all(|value| value.is_finite()) {
        return (0..n).collect();
    }
    // What a point adds only shrinks as others are chosen, so an old number is an upper bound.
    let mut adds: Vec<f64> = points
        .iter()
        .map(|point| volume(point, &reference))
        .collect();
    let mut computed = vec![0; points.len()];
    let mut chosen: Vec<usize> = Vec::with_capacity(n);
    while chosen.len() < n {
        let top = argmax(&adds);
        if computed[top] == chosen.len() {
            adds[top] = f64::NEG_INFINITY;
            chosen.push(top);
        } else {
            adds[top] = added(points, top, &chosen, &reference);
            computed[top] = chosen.len();
        }
    }
    chosen
}

fn argmax(values: &[f64]) -> usize {
    let better = |best, ix| if values[ix] > values[best] { ix } else { best };
    (1..values.len()).fold(0, better)
}

/// The volume between a point and the reference.
fn volume(point: &[f64], reference: &[f64]) -> f64 {
    point
        .iter()
        .zip(reference)
        .map(|(x, r)| (r - x).max(0.0))
        .product()
}

/// The volume that a point dominates and none of the chosen ones does (L. While, L. Bradstreet and
/// L. Barone 2012, "A Fast Way of Calculating Exact Hypervolumes").
fn added(points: &[Vec<f64>], ix: usize, chosen: &[usize], reference: &[f64]) -> f64 {
    let shared: Vec<Vec<f64>> = chosen
        .iter()
        .map(|&other| worse_of(&points[ix], &points[other]))
        .collect();
    volume(&points[ix], reference) - hypervolume(shared, reference)
}

fn worse_of(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a.max(*b)).collect()
}

/// The volume of all that is dominated by a point and dominates the reference.
fn hypervolume(points: Vec<Vec<f64>>, reference: &[f64]) -> f64 {
    let directions = vec![Direction::Minimize; reference.len()];
    let front = pareto::front(&points, &directions);
    let mut front: Vec<&[f64]> = front.iter().map(|&ix| &points[ix][..]).collect();
    front.sort_by(|a, b| a[0].total_cmp(&b[0]));
    if let [width, height] = reference {
        let mut top = *height;
        let slices = front.iter().map(|point| {
            let below = (top - point[1]).max(0.0);
            top = top.min(point[1]);
            (width - point[0]).max(0.0) * below
        });
        return slices.sum();
    }
    let alone = front.iter().enumerate().map(|(k, point)| {
        let later = front[k + 1..].iter();
        let shared = later.map(|other| worse_of(point, other)).collect();
        volume(point, reference) - hypervolume(shared, reference)
    });
    alone.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    const MINIMIZE: [Direction; 2] = [Direction::Minimize; 2];

    /// By counting cells of a grid.
    #[test]
    fn hypervolumes() {
        for n_objectives in [2, 3, 4] {
            let mut stream = Stream::new(1, Purpose::Sampler, n_objectives as u32);
            let mut draw = || {
                (0..n_objectives)
                    .map(|_| f64::from(stream.below(6)))
                    .collect()
            };
            let points: Vec<Vec<f64>> = (0..7).map(|_| draw()).collect();
            let reference = vec![6.0; n_objectives];
            let cells = (0..6_u32.pow(n_objectives as u32)).filter(|&cell| {
                let of = |axis: usize| f64::from(cell / 6_u32.pow(axis as u32) % 6);
                let covers = |p: &Vec<f64>| (0..n_objectives).all(|axis| p[axis] <= of(axis));
                points.iter().any(covers)
            });
            let counted = cells.count() as f64;
            assert_eq!(hypervolume(points, &reference), counted, "{n_objectives}");
        }
    }

    #[test]
    fn fronts_come_whole_and_the_last_by_volume() {
        let points: Vec<Vec<f64>> = [
            [5.0, 5.0],
            [0.0, 0.0],
            [1.0, 4.0],
            [2.0, 2.0],
            [4.0, 1.0],
            [1.0, 4.0],
        ]
        .map(|p| p.to_vec())
        .to_vec();
        assert_eq!(best(&points, &MINIMIZE, 1), [1]);
        assert_eq!(
            best(&points, &MINIMIZE, 2),
            [1, 3],
            "the middle covers the most"
        );
        let mut four = best(&points, &MINIMIZE, 4);
        four.sort_unstable();
        assert_eq!(four, [1, 2, 3, 4], "the twin of 2 adds nothing");
        assert_eq!(best(&points, &MINIMIZE, 9).len(), 6);
    }

    #[test]
    fn infinite_losses_are_chosen_from_all_the_same() {
        let points = vec![vec![0.0, f64::INFINITY], vec![1.0, 0.0], vec![2.0, -1.0]];
        assert_eq!(best(&points, &MINIMIZE, 2).len(), 2);
    }
}

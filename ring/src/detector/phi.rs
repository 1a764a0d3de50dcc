//! The suspicion level phi, with its tail computed exactly.
//!
//! Hayashibara et al., *The phi accrual failure detector* (SRDS 2004), turn a silence into a
//! number: `phi = -log10(P(a heartbeat comes even later than now))`. Phi 3 means that one silence
//! in a thousand lasts this long by itself, phi 8 one in a hundred million. With normally
//! distributed intervals that probability is `Q(z)`, the upper tail of the normal distribution, at
//! `z` standard deviations beyond the mean.
//!
//! The formula is simple and its usual implementations are not right where it matters:
//!
//! ```text
//!      z        -log10 Q(z)      1 - CDF(z) in f64    logistic approximation
//!      5.0          6.54               6.54                  7.30
//!      5.6          7.97               7.97                  9.27     "8" comes too early
//!      8.3         16.28           infinite                 23.28
//!     10.0         23.12           infinite                 37.59
//! ```
//!
//! The second column underflows, and phi jumps to infinity; the third, used by Akka and others, is
//! made for small z. Here `Q` is taken from a series below z = 5, and from its asymptotic
//! expansion above (Abramowitz and Stegun 7.1.6 and 26.2.12), so that phi grows without a jump, and
//! it ends at 300, so that it is always a number.

/// The greatest phi there is.
pub const PHI_MAX: f64 = 300.0;

/// Phi of a silence that ends `z` standard deviations after the mean: `-log10 Q(z)`, from 0 to
/// [`PHI_MAX`]. It never falls while `z` grows. What is no number counts as no silence.
pub fn phi(z: f64) -> f64 {
    if z.is_nan() || z < SURELY_EARLY {
        return 0.0;
    }
    if z > SURELY_LATE {
        return PHI_MAX;
    }
    let exact = if z <= SEAM {
        -upper_tail(z).log10()
    } else {
        far_tail(z)
    };
    exact.clamp(0.0, PHI_MAX)
}

/// `Q(z)` for `z` up to 5.
fn upper_tail(z: f64) -> f64 {
    let half = half_body(z.abs());
    if z < 0.0 { 0.5 + half } else { 0.5 - half }
}

/// `Q(0) - Q(z)`, half of the error function of `z / sqrt(2)`.
///
/// All terms of this series are positive, so nothing is lost until the subtraction from one half,
/// which at z = 5 still leaves nine digits.
fn half_body(z: f64) -> f64 {
    let (mut term, mut sum, mut odd) = (z, z, 1.0_f64);
    while term > sum * f64::EPSILON {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    sum * (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

/// `-log10 Q(z)` for `z` above 5.
fn far_tail(z: f64) -> f64 {
    let square = z * z;
    let series = 1.0 - 1.0 / square + 3.0 / square.powi(2) - 15.0 / square.powi(3);
    square / (2.0 * std::f64::consts::LN_10) + (z * std::f64::consts::TAU.sqrt()).log10()
        - series.log10()
}

/// Where the series hands over to the expansion.
const SEAM: f64 = 5.0;
/// Below, phi is less than 10^-16.
const SURELY_EARLY: f64 = -8.0;
/// Above, phi is more than [`PHI_MAX`].
const SURELY_LATE: f64 = 40.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{PHI_MAX, far_tail, phi, upper_tail};

    /// `-log10(sf(z))` by models/phi.py.
    const MODEL: &[(f64, f64)] = &[
        (0.0, 0.301),
        (1.0, 0.800),
        (2.0, 1.643),
        (3.0, 2.870),
        (4.0, 4.499),
        (5.0, 6.543),
        (5.6, 7.970),
        (6.0, 9.006),
        (8.0, 15.206),
        (8.3, 16.284),
        (10.0, 23.118),
        (20.0, 88.560),
    ];

    #[test]
    fn phi_has_the_values_of_the_model() {
        for (z, expected) in MODEL {
            assert!((phi(*z) - expected).abs() < 0.001, "{z}: {}", phi(*z));
        }
    }

    #[test]
    fn the_two_halves_of_phi_meet_at_five() {
        let below = -upper_tail(5.0).log10();
        let above = far_tail(5.0);
        assert!((above - below).abs() < 2e-4, "{below} {above}");
        assert!(below <= above);
    }

    #[test]
    fn phi_is_a_number_for_whatever_it_is_given() {
        for z in [f64::NAN, f64::NEG_INFINITY, -1e300, -0.0] {
            assert!((0.0..0.31).contains(&phi(z)), "{z}");
        }
        for z in [40.0, 1e9, f64::MAX, f64::INFINITY] {
            assert!((phi(z) - PHI_MAX).abs() < f64::EPSILON, "{z}");
        }
    }

    proptest! {
        #[test]
        fn phi_never_falls(z in -10.0..45.0_f64, step in 0.0..2.0_f64) {
            prop_assert!(phi(z) <= phi(z + step) + 1e-9);
        }

        #[test]
        fn phi_does_not_jump(z in -10.0..39.0_f64) {
            let (here, next) = (phi(z), phi(z + 1e-4));
            prop_assert!(next - here < 0.003, "{} {}", here, next);
        }
    }
}

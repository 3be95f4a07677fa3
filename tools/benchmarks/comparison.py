"""How close is equal: recorded values against ours, by groups with tolerances of their own.

Float32 in another order of operations does not repeat bits, and a relu that flips, or Adam dividing a tiny
gradient by its own size, makes rounding visible after a step or two. The tolerances separate correct
implementations (other orders of summation, other precision, other formulas for crops and normalization) from
wrong ones (other order of updates, other Adam, other normalisation).
"""

import collections
import re

import numpy as np

# Trained biases right before an instance normalisation: their gradient is 0 in theory, rounding in practice.
_ROUNDING = re.compile(r'/(G[xy]/(de)?conv\d*|encode/e_c\d+)/biases$')
_ROUNDING_PAM = re.compile(r'/Gr/(de)?conv\d*/biases$')

# group: {statistic: tolerance}; every group has a worst. Sums of changes are judged after the first step only, and
# by their 90th percentile: later they depend on which way rounding fell.
TOLERANCES = {
    'arrays of another shape, or not finite': {'worst': 0},
    'masks': {'worst': 0},
    'boxes': {'worst': 1e-6},
    **{name: {'worst': 2e-4} for name in ('crops', 'codes', 'images', 'frames', 'logits')},
    'losses': {'worst': 2e-5},
    'gradients of D: norm, largest': {'worst': 1e-4},
    'gradients of D: sum': {'worst': 1e-4},
    'gradients of G, E_r: norm': {'worst': 1e-2, 'median': 2e-3},
    'gradients of G, E_r: largest': {'worst': 3e-2},
    'gradients of G, E_r: sum': {'worst': 1e-2},
    'E_c after steps: change': {'worst': 0},
    'after steps: norm of variables': {'worst': 1e-3},
    'after steps: outputs': {'worst': 0.15},
    'after step 1, D: norm of change': {'worst': 1e-3},
    'after step 1, D: sum of change': {'worst': 1e-3},
    'after step 1, G, E_r: norm of change': {'worst': 2e-2},
    'after step 1, G, E_r: sum of change': {'worst': np.inf, '90th percentile': 4e-2},
    'after step 2: norm of change': {'worst': 0.2, 'median': 1e-2},
    'after step 3 and on: norm of change': {'worst': 0.3, 'median': 1e-2},
    'after step 2 and on: sum of change': {'worst': np.inf},
    'PAM: reconstructions, codes': {'worst': 2e-4},
    'PAM: losses': {'worst': 2e-5},
    'PAM: losses after steps': {'worst': 2e-4},
    'PAM: norm of variables': {'worst': 1e-3},
    'PAM, after step 1: norm of change': {'worst': 5e-3},
    'PAM, after step 2 and on: norm of change': {'worst': 3e-2},
    'PAM, after steps: sum of change': {'worst': np.inf},
}
_STATISTICS = {'worst': np.max, 'median': np.median, '90th percentile': lambda x: np.percentile(x, 90)}


class Comparison:
    """Deviations of what we compute from a recording's `values`; both {key: array}, keys as recorded.

    deviations: {group: [(deviation, key), …]}; left_out: the keys not compared.
    """

    def __init__(self, recorded, ours, sizes):
        """sizes: the number of elements of each variable. Every recorded key must be in `ours`."""
        self._recorded, self._ours, self._sizes = recorded, ours, sizes
        self._pam = is_pam(sizes)
        self.deviations, self.left_out = collections.defaultdict(list), []
        for key in recorded:
            if (_ROUNDING_PAM if self._pam else _ROUNDING).search(key):
                self.left_out.append(key)
            elif self._usable(key):
                self._compare(key, recorded[key], self._ours_like(key))

    def _usable(self, key):
        """Whether what was recorded, and ours, are finite numbers of the same shape."""
        recorded, ours = self._recorded[key], self._ours_like(key)
        usable = (
            recorded.dtype.kind in 'iuf'
            and recorded.shape == ours.shape
            and bool(np.isfinite(recorded).all())
            and bool(np.isfinite(ours).all())
        )
        self._add('arrays of another shape, or not finite', key, not usable)
        return usable

    def _ours_like(self, key):
        """Our value of a key as it was recorded: images subsampled or whole, masks summed or whole."""
        ours, shape = np.asarray(self._ours[key]), self._recorded[key].shape
        if key.endswith('_mask') and len(shape) == 1:
            return ours.sum(axis=(1, 2, 3))
        return _subsampled(ours, shape)

    def _compare(self, key, recorded, ours):
        step = re.match(r'step(\d+)/(.*)', key)
        if key.endswith('_mask'):
            self._add('masks', key, _largest(ours, recorded))
        elif '_boxes_' in key:
            self._add('boxes', key, _largest(ours, recorded))
        elif key.startswith('grad/'):
            self._compare_gradient(key, recorded, ours)
        elif step and step[2].startswith('out/'):
            self._add('after steps: outputs', key, self._drift(step[2], recorded, ours))
        elif step and step[2] == 'loss':
            self._add('PAM: losses after steps', key, _relative(ours, recorded))
        elif step:
            self._compare_change(key, int(step[1]), step[2], recorded, ours)
        elif key.startswith('loss'):
            self._add('PAM: losses' if self._pam else 'losses', key, _relative(ours, recorded))
        else:
            self._add(_output_group(key), key, _largest(ours, recorded))

    def _compare_gradient(self, key, recorded, ours):
        network = 'D' if '/D' in key else 'G, E_r'
        for name, index in (('norm', 0), ('largest', 2)):
            group = 'norm, largest' if network == 'D' else name
            self._add(f'gradients of {network}: {group}', key, _relative(ours[index], recorded[index]))
        variable = key.split('/', 2)[2]
        self._add(f'gradients of {network}: sum', key, self._sum(variable, ours[1], recorded[1], recorded[0]))

    def _compare_change(self, key, step, variable, recorded, ours):
        self._add(
            'PAM: norm of variables' if self._pam else 'after steps: norm of variables',
            key,
            _relative(ours[0], recorded[0]),
        )
        change, total = _relative(ours[1], recorded[1]), self._sum(variable, ours[2], recorded[2], recorded[1])
        if self._pam:
            self._add(f'PAM, after step {"1" if step == 1 else "2 and on"}: norm of change', key, change)
            self._add('PAM, after steps: sum of change', key, total)
        elif variable.startswith('Gr/'):
            self._add('E_c after steps: change', key, np.abs(ours[1:] - recorded[1:]).max())
        elif step == 1:
            network = 'D' if variable.startswith('D') else 'G, E_r'
            self._add(f'after step 1, {network}: norm of change', key, change)
            self._add(f'after step 1, {network}: sum of change', key, total)
        else:
            self._add(f'after step {"2" if step == 2 else "3 and on"}: norm of change', key, change)
            self._add('after step 2 and on: sum of change', key, total)

    def _sum(self, variable, ours, recorded, norm):
        """Deviation of a sum over a variable, relative to what its norm allows."""
        return _divide(abs(ours - recorded), norm * np.sqrt(self._sizes[variable]))

    def _drift(self, output, recorded, ours):
        """Deviation of an output after training, relative to how far training moved it."""
        start = _subsampled(self._recorded.get(output, np.asarray(self._ours[output])), recorded.shape)
        return _divide(np.abs(ours - recorded).sum(), np.abs(recorded - start).sum())

    def _add(self, group, key, deviation):
        self.deviations[group].append((float(deviation), key))

    @property
    def compared(self):
        """How many keys were compared."""
        return len({key for rows in self.deviations.values() for _, key in rows})

    def groups(self):
        """(group, {statistic: value}, key of the worst deviation), in the order of TOLERANCES."""
        for group, tolerances in TOLERANCES.items():
            if group in self.deviations:
                values = np.array([deviation for deviation, _ in self.deviations[group]])
                key = self.deviations[group][int(np.argmax(values))][1]
                yield group, {statistic: _STATISTICS[statistic](values) for statistic in tolerances}, key


def share(group, statistics):
    """The largest share of its tolerance that a statistic of a group takes; above 1 it fails."""
    return max(_share(value, TOLERANCES[group][statistic]) for statistic, value in statistics.items())


def _share(value, tolerance):
    return value / tolerance if tolerance else (0.0 if value == 0 else np.inf)


def is_pam(variables):
    """Whether variables, by the original's names, are those of PAM rather than of the whole model."""
    return not any(name.startswith('Gx/') for name in variables)


def _output_group(key):
    name = key.split('/')[-1]
    if key.startswith(('ae_', 'code_')):
        return 'PAM: reconstructions, codes'
    if '/inter/' in key:
        return 'frames'
    for group, ending in (('crops', ('_left', '_right')), ('codes', ('_content', '_fp')), ('logits', '_logits')):
        if name.endswith(ending):
            return group
    return 'images'


def _largest(ours, recorded):
    """Largest absolute difference."""
    return np.abs(ours.astype(np.float64) - recorded).max()


def _relative(ours, recorded):
    return _divide(abs(float(ours) - float(recorded)), abs(float(recorded)))


def _divide(difference, scale):
    return difference / scale if scale else (0.0 if difference == 0 else np.inf)


def _subsampled(ours, shape):
    """Images with only the rows and columns that were recorded: all, every 7th, or every 5th."""
    if ours.ndim == 4:
        for stride in (1, 7, 5):
            if ours[:, ::stride, ::stride].shape == shape:
                return ours[:, ::stride, ::stride]
    return ours

"""Turns the faces of single frames into tracks, with smooth eyes and codes, and with strengths that fade in and out."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from gaze_tf.editing.eye_contact import AT_CAMERA, RATE, EyeContact
from gaze_tf.editing.strength import glancing, smooth, steady, within
from gaze_tf.editing.track_choice import TrackChoice
from gaze_tf.editing.track_matching import REACH, TrackMatcher, step
from gaze_tf.inference.faces import NOT_CHOSEN, Face

_BLINK_FADE = 3  # frames
# openness of eyes in the middle of a blink, see Face.openness; 1 portrait in 25 has narrower eyes
_NARROW = 0.2
# Mediapipe's positions have outliers, which look like motion where the median noise is small. So noise counts as at
# least this (standard deviation, in distances between the eyes), but as at most this many times itself.
_LEAST_NOISE, _OUTLIERS = 0.001, 5


class Found(NamedTuple):
    """A Face in a frame, with what is known of it.

    code: its content code. look: see `track_matching.look_of`. moved: the degrees by which painting moves its gaze, see
    `eye_contact.gaze_moved`.
    """

    face: Face
    code: np.ndarray | None = None
    look: np.ndarray | None = None
    moved: float | None = None


class Tracked(NamedTuple):
    """A face in a frame.

    track: the number of its track, the same within a shot unless the face is lost for long.
    face: the Face with smoothed eyes; interpolated where the detector missed it.
    found_eyes: its eyes before smoothing.
    strength: of the correction, from 0 to 1.
    code: the smoothed code; None if none is near.
    reason: why the strength is 0 (or, in a causal Tracker, falls to 0); '' if it is not.
    chosen: whether its track is edited. If not, the face is as it was found.
    """

    track: int
    face: Face
    found_eyes: tuple
    strength: float
    code: np.ndarray | None
    reason: str = ''
    chosen: bool = True


class _Seen(NamedTuple):
    face: Face
    code: np.ndarray | None
    reason: str
    blink: bool
    share: float
    moved: float | None


class _Moment:
    """A waiting frame and what is known of it; the frame itself is released when it is handed out."""

    def __init__(self, frame, shot, number):
        self.frame, self.shot, self.number = frame, shot, number
        self.seen = {}  # track → _Seen


class Tracker:
    """Takes the faces of one frame after another and returns them tracked, `delay` frames later.

    It holds `delay` frames and the faces of twice as many, however long the video is. It needs codes in one of
    `code_every` frames, and how far painting moves the gaze in one of `moved_every`.

    A causal Tracker, for frames that are shown at once, returns each frame when it takes it. Its windows lie before the
    frame. When a face can no longer be edited, its strength falls from then on; where it is not found, nothing is known
    of it. The choice of faces may change during the first second of a shot.
    """

    def __init__(
        self,
        fps,
        window_s=1.2,
        fade_s=0.25,
        limits=lambda face: '',
        cuts=True,
        faces='all',
        share=lambda face: 1.0,
        look_away=False,
        causal=False,
    ):
        """
        Args:
          fps: frames per second.
          window_s: seconds of video over which eyes and codes are smoothed; 0: none.
          fade_s: seconds in which strengths go from 1 to 0; 0: at once.
          limits: Face → why it is left alone, or ''; its openness may be None.
          cuts: whether to detect them; if not, frames may be anything.
          faces: which tracks are edited; see `track_choice.TrackChoice`.
          share: Face → its share, see `strength.share_of`; asked for faces that are not left alone.
          look_away: whether tracks sometimes look away; see `strength.glancing`.
          causal: see above.
        """
        self._half = round(float(window_s * fps) / 2)
        # codes are found in one of so many frames: twelve in a window have a good mean
        self.code_every = max(self._half // 6, 1)
        # and how far painting moves the gaze in one of so many, which have codes
        self.moved_every = max(round(float(fps) / RATE / self.code_every), 1) * self.code_every
        self._fade = max(round(float(fade_s * fps)), 1)
        self._blink_fade = min(_BLINK_FADE, self._fade)
        self._numbering, self._choice = TrackMatcher(fps), TrackChoice(faces, fps)
        self._causal, self._begin_choice, self._begun = causal, lambda: TrackChoice(faces, fps), (None, 0)
        # gaps must be known before a fade or a window reaches them
        self.delay = 0 if causal else max(self._half, self._fade) + self._numbering.gap
        # frames that later ones depend on; a causal Tracker, with past frames only, estimates noise from twice as many
        self._kept = max(2 * self._half, self._fade, self._choice.beginning) if causal else self.delay
        self._skipped = 0
        self._shares = {}  # if causal: track → (its share in the last frame, frames in which it may rise to 1)
        self._fps, self._limits, self._cuts, self._share, self._look_away = float(fps), limits, cuts, share, look_away
        self._contacts = {}  # track → EyeContact
        self._moments = []
        self._next = 0  # of self._moments: the frame that is handed out next
        self._previous = None

    def skip(self, count):
        """Tells that frames before the next were dropped, so that windows and fades of a causal Tracker keep their
        length."""
        self._skipped += count

    def push(self, frame, found):
        """Takes a frame uint8 [H, W, 3] and its list of Found. Returns the (frame, [Tracked]) that are complete, 0
        or 1."""
        shot, number = (self._moments[-1].shot, self._moments[-1].number + 1) if self._moments else (0, 0)
        number, self._skipped = number + self._skipped, 0
        if self._cuts:
            pattern = pattern_of(frame)
            if self._previous is not None and is_cut(self._previous, pattern):
                shot += 1
                self._numbering.forget()
            self._previous = pattern
        moment = _Moment(frame, shot, number)
        self._moments.append(moment)
        for track, one in zip(self._numbering.follow([one.face for one in found], [one.look for one in found]), found):
            moment.seen[track] = self._judge(one.face, one.code, one.moved)
            self._bridge(track)
        return [self._hand_out()] if len(self._moments) - 1 - self._next >= self.delay else []

    def finish(self):
        """Returns the frames that still wait, as `push` does."""
        return [self._hand_out() for _ in range(self._next, len(self._moments))]

    def _judge(self, face, code, moved=None):
        reason = self._limits(face)
        # only the eyelids are to blame: the gaze of closed eyes does not matter, and narrow eyes may seem covered
        narrow = face.openness is not None and min(face.openness) < _NARROW
        lids = face._replace(irises=None, seen=face.seen if narrow else None)
        blink = bool(reason and self._limits(lids)) and not self._limits(lids._replace(openness=None, seen=None))
        return _Seen(face, code, reason, blink, 0.0 if reason else self._share(face), None if reason else moved)

    def _bridge(self, track):
        """Fills the gap before the newest frame, if there is one."""
        now = len(self._moments) - 1
        last = next(
            (k for k in range(now - 1, max(now - self._numbering.gap - 2, -1), -1) if track in self._moments[k].seen),
            now,
        )
        before, seen = self._moments[last].seen[track], self._moments[now].seen[track]
        if step(np.reshape(before.face.eyes, (2, 2)), np.reshape(seen.face.eyes, (2, 2))) >= REACH:
            return
        for missed in range(last + 1, now):
            share = (missed - last) / (now - last)
            codes = before.code, seen.code
            code = None if codes[0] is None or codes[1] is None else codes[0] + share * (codes[1] - codes[0])
            self._moments[missed].seen[track] = self._judge(_between(before.face, seen.face, share), code)

    def _hand_out(self):
        moment = self._moments[self._next]
        compared = [
            {track: seen.face for track, seen in other.seen.items()}
            for other in self._compared(moment)
            if other.shot == moment.shot
        ]
        chosen = self._choice.of(moment.shot, compared)
        if self._causal:
            self._approach(chosen)
        result = (
            moment.frame,
            [
                self._tracked(track, self._next) if track in chosen else _left_alone(track, seen.face)
                for track, seen in sorted(moment.seen.items())
            ],
        )
        moment.frame = None
        self._contacts = {track: self._contacts[track] for track in moment.seen if track in self._contacts}
        self._next += 1
        if self._next > self._kept:
            del self._moments[0]
            self._next -= 1
        return result

    def _compared(self, moment):
        """The frames over which sizes of faces are compared, starting with this moment."""
        if not self._causal:
            return self._moments[self._next : self._next + self._choice.beginning]
        if moment.seen and moment.shot != self._begun[0]:
            self._begun = moment.shot, moment.number
        if not moment.seen or moment.number - self._begun[1] >= self._choice.beginning:
            return [moment]
        self._choice = self._begin_choice()
        return self._moments[self._next :: -1]

    def _approach(self, chosen):
        """Sets the shares of a causal Tracker in the next frame, as close to what it says as the last ones allow."""
        moment, passed = self._moments[self._next], 1
        if self._next:
            before = self._moments[self._next - 1]
            passed = moment.number - before.number
            if moment.shot != before.shot:
                self._shares = {}
        shares = {}
        for track in chosen & {*moment.seen, *self._shares}:
            share, fade = self._shares.get(track, (0.0, self._fade))
            seen = moment.seen.get(track)
            if seen is not None and seen.blink:
                # closed eyes must show at once
                shares[track] = 0.0, self._blink_fade
                continue
            wanted = self._wanted(track)[-1] if seen is not None else 0.0
            share = min(max(wanted, share - passed / self._fade), share + passed / fade)
            shares[track] = share, fade if wanted > share else self._fade
        self._shares = {track: each for track, each in shares.items() if each[0] or track in moment.seen}

    def _tracked(self, track, now):
        seen = self._moments[now].seen[track]
        face, code = seen.face, seen.code
        if self._half:
            at = [k for k, moment in enumerate(self._moments) if track in moment.seen]
            around = [self._moments[k].seen[track] for k in at]
            offsets = np.array([self._moments[k].number for k in at]) - self._moments[now].number
            apart = np.hypot(face.eyes[2] - face.eyes[0], face.eyes[3] - face.eyes[1])
            eyes = smoothed(
                offsets, np.array([other.face.eyes for other in around], float), self._half, _LEAST_NOISE * apart
            )
            face = face._replace(eyes=tuple(eyes.tolist()))
            code = self._mean_code(offsets, around)
        # called in each frame, also where the face is left alone for another reason
        contact = self._contact(track, now)
        strength = smooth(min(self._share_of(track, now), contact))
        reason = seen.reason or (AT_CAMERA if not contact else '')
        return Tracked(track, face, seen.face.eyes, strength, code, reason)

    def _contact(self, track, now):
        """The largest share that leaves eyes alone which look at the camera."""
        contact = self._contacts.setdefault(track, EyeContact(self._fps, self._fade, self.delay))
        first, last = (max(now + offset, 0) for offset in contact.window)
        around = [
            moment.seen[track].moved
            for moment in self._moments[first : last + 1]
            if moment.shot == self._moments[now].shot and track in moment.seen
        ]
        return contact.share([moved for moved in around if moved is not None])

    def _mean_code(self, offsets, around):
        """The mean code of faces that can be edited (closed eyes have none of their own), else of all."""
        known = [
            (offset, seen)
            for offset, seen in zip(offsets, around)
            if seen.code is not None and abs(offset) <= self._half
        ]
        fit = [(offset, seen) for offset, seen in known if not seen.reason] or known
        if not fit:
            return None
        weights = _gaussian(np.array([offset for offset, _ in fit]), self._half / 2)
        codes = np.stack([seen.code for _, seen in fit])
        return np.average(codes, axis=0, weights=weights).astype(codes.dtype)

    def _share_of(self, track, now):
        """The share of a track in a frame: what the frames around it allow, and 0 where its face is lost or left
        alone."""
        if self._causal:
            return self._shares[track][0]
        scene = self._scene()
        seen = [moment.seen.get(track) for moment in scene]
        fades = np.array([self._blink_fade if one is not None and one.blink else self._fade for one in seen])
        return within(self._wanted(track), scene.index(self._moments[now]), fades)

    def _scene(self):
        """The moments in the shot of the next frame."""
        return [moment for moment in self._moments if moment.shot == self._moments[self._next].shot]

    def _wanted(self, track):
        """The share in each moment of the scene by itself."""
        scene = self._scene()
        seen = [moment.seen.get(track) for moment in scene]
        fit = np.array([one is not None and not one.reason for one in seen])
        shares = steady(np.array([one.share if one is not None else 0.0 for one in seen]), fit, self._fade)
        if self._look_away:
            shares = np.minimum(shares, [glancing(track, moment.number / self._fps) for moment in scene])
        return shares


def _left_alone(track, face):
    return Tracked(track, face, face.eyes, 0.0, None, NOT_CHOSEN, chosen=False)


def smoothed(offsets, values, half, least_noise=0.0):
    """The smoothed value [C] at offset 0 of values [N, C] at whole offsets [N], which include 0.

    A line is fitted in a Gaussian window of at most `half` frames to both sides. Its width follows Lepski's rule: the
    widest whose fit agrees with all narrower ones within the noise of the values, which counts as `least_noise` where
    it has outliers. So a still face gets the long window, and starts, stops and turns are not smeared.
    """
    noise = _noise(values)
    noise = max(noise, min(least_noise, _OUTLIERS * noise))
    fits = [(offsets == 0).astype(float)]
    for width in half / 2 * np.sqrt(0.5) ** np.arange(8, -1, -1):
        fit = _line_weights(offsets, width, half)
        for narrower in fits:
            change = fit - narrower
            # rms over coordinates, in standard deviations: beyond 3 next to never where nothing moves (beyond 2 in 1 of
            # 300 frames, and each time the position jumps)
            if np.sqrt(np.mean((change @ values) ** 2)) > 3 * noise * np.linalg.norm(change) + 1e-6:
                return fits[-1] @ values
        fits.append(fit)
    return fits[-1] @ values


def _line_weights(offsets, width, half):
    """The weight of each value in the value at 0 of a line fitted with Gaussian weights."""
    gaussian = np.where(abs(offsets) <= half, _gaussian(offsets, width), 0)
    s0, s1, s2 = (np.sum(gaussian * offsets**k) for k in range(3))
    spread = s0 * s2 - s1 * s1
    return gaussian * (s2 - s1 * offsets) / spread if spread > 1e-9 else (offsets == 0).astype(float)


def _gaussian(offsets, width):
    return np.exp(-0.5 * (offsets / width) ** 2)


def _noise(values):
    """The standard deviation of white noise in values [N, C], by third differences, which are small in smooth motion.

    It uses a median, so that a single start or stop does not count. In fewer than six values, noise cannot be told from
    motion, and everything counts as noise.
    """
    differences = np.diff(values, n=3, axis=0)  # of white noise: 1 + 9 + 9 + 1 times its variance
    return np.median(abs(differences)) / 0.6745 / np.sqrt(20) if len(differences) > 2 else 1e9


def _between(before, after, share):
    """The Face at a share of the way from one to the other; what one of them lacks is None."""

    def mix(a, b):
        if a is None or b is None:
            return None
        mixed = np.add(a, share * np.subtract(b, a))
        return tuple(mixed.tolist()) if isinstance(a, tuple) else float(mixed)

    return Face(*map(mix, before, after))


def is_cut(previous, pattern):
    """Whether another scene begins between two frames with these patterns; see `pattern_of`.

    Brightness and contrast do not count: noise, a moving head, ordinary camera motion, and fades and flashes in which
    the scene stays visible are no cuts.
    """
    # in patterns fainter than this, in gray levels, noise and compression would count
    faint = 4.0
    scales = [max(np.sqrt(np.mean(each**2)), faint) for each in (previous, pattern)]
    likeness = np.mean(previous * pattern) / (scales[0] * scales[1])
    strong = max(scales) > faint
    return bool(strong and likeness < 0.5)


def pattern_of(frame):
    """The coarse pattern of a frame uint8 [H, W, 3]: float [16, 16, 3], the means of its parts minus their mean."""
    step = max(min(frame.shape[:2]) // 128, 1)
    small = Image.fromarray(frame[::step, ::step]).resize((16, 16), Image.Resampling.BOX)
    small = np.asarray(small, float)
    return small - small.mean((0, 1))

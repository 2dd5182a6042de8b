"""Films: written with a keyframe every other picture, so that any picture is found by decoding two."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from nav_foundation.data.schema import DataError

_KEYFRAMES = 2  # pictures from one to the next
_LONGEST = 1e9  # s of a film
_QUALITY = 18  # H.264's crf; 0 is without loss, 51 the worst


def write_video(path: Path, pictures: Iterable[np.ndarray], frame_rate: float) -> None:
    """An mp4 file (H.264) of pictures [H, W, 3] uint8 RGB of one size."""
    import av

    rate = Fraction(frame_rate).limit_denominator(1000)
    with av.open(str(path), "w", format="mp4") as film:
        stream = None
        for picture in pictures:
            if stream is None:
                stream = film.add_stream("libx264", rate=rate, options={"crf": str(_QUALITY), "bf": "0"})
                stream.height, stream.width = picture.shape[:2]
                even = picture.shape[0] % 2 == 0 and picture.shape[1] % 2 == 0
                stream.pix_fmt = "yuv420p" if even else "yuv444p"  # 4:2:0 takes even sizes alone
                stream.gop_size = _KEYFRAMES
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            film.mux(stream.encode())


class VideoReader:
    """Pictures of a film by their time."""

    def __init__(self, path: Path) -> None:
        import av

        self.path = path
        try:
            self._film = av.open(str(path))
            self._stream = self._film.streams.video[0]
        except (av.FFmpegError, OSError, IndexError) as error:
            raise DataError(f"{path} is no film that can be read: {error}") from None
        self._tick = float(self._stream.time_base or 1)  # s
        self._half = 0.5 / float(self._stream.average_rate or 30)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._film.close()

    def frame_at(self, seconds: float) -> np.ndarray:
        """[H, W, 3] uint8 RGB of the picture shown `seconds` after the film's start, within half a frame's time."""
        import av

        begin = (self._stream.start_time or 0) * self._tick
        if not abs(seconds) < _LONGEST:
            raise DataError(f"{self.path} has no picture at {seconds} s: the frame's timestamp is broken")
        self._film.seek(max(0, int((seconds + begin + 0.1 * self._half) / self._tick)), stream=self._stream)
        try:
            for frame in self._film.decode(self._stream):
                shown = (frame.pts or 0) * self._tick - begin
                if abs(shown - seconds) <= self._half:
                    return np.asarray(frame.to_ndarray(format="rgb24"))
                if shown > seconds + self._half:
                    break
        except av.FFmpegError as error:
            raise DataError(f"{self.path} is broken near {seconds:.2f} s: {error}") from None
        raise DataError(f"{self.path} has no picture at {seconds:.2f} s")

    def frames(self) -> Iterable[tuple[float, np.ndarray]]:
        """(seconds from the start, [H, W, 3] uint8 RGB) of every picture in turn."""
        begin = self._stream.start_time or 0
        for frame in self._film.decode(self._stream):
            yield ((frame.pts or 0) - begin) * self._tick, np.asarray(frame.to_ndarray(format="rgb24"))

"""Eight frames of a video, spread evenly, exact, as RGB in the video's size, by other readers; see serve.py's protocol.
The frames are those shown in the middle of eight equal parts of the time."""
import os
import subprocess

VIDEO = os.environ["CAPRL_BENCHMARK_VIDEO"]
FRAMES = 8
THREADS = int(os.environ["OMP_NUM_THREADS"])


def probe():
    fields = "stream=nb_frames,width,height,duration,r_frame_rate"
    text = subprocess.check_output(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", fields, "-of", "default=nw=1", VIDEO],
        text=True)
    found = dict(line.split("=") for line in text.split())
    top, bottom = found["r_frame_rate"].split("/")
    return int(found["nb_frames"]), int(found["width"]), int(found["height"]), int(top) / int(bottom)


def chosen():
    """Numbers of the frames, for a video of a constant rate."""
    frames = probe()[0]
    return [int((part + 0.5) * frames / FRAMES) for part in range(FRAMES)]


def told(pictures):
    return {"frames": len(pictures), "sum": float(sum(int(picture.astype("int64").sum()) for picture in pictures))}


def run_ffmpeg(arguments):
    import numpy

    _, width, height, _ = probe_once
    raw = subprocess.check_output(["ffmpeg", "-v", "error", "-nostdin", "-threads", str(THREADS), *arguments, "-f",
                                   "rawvideo", "-pix_fmt", "rgb24", "-"])
    return numpy.frombuffer(raw, dtype=numpy.uint8).reshape(-1, height, width, 3)


def ffmpeg_select():
    """One process that decodes the video from its beginning."""
    wanted = "+".join(f"eq(n\\,{number})" for number in chosen_once)
    return lambda: told(run_ffmpeg(["-i", VIDEO, "-vf", f"select={wanted}", "-fps_mode", "passthrough"]))


def ffmpeg_seek():
    """A process for each frame, which seeks to the key frame before it."""
    rate = probe_once[3]

    def read():
        pictures = []
        for number in chosen_once:
            time = max(0.0, (number - 0.5) / rate)
            pictures.append(run_ffmpeg(["-ss", f"{time:.6f}", "-i", VIDEO, "-frames:v", "1"])[0])
        return told(pictures)

    return read


def pyav():
    import av

    def read():
        pictures = []
        with av.open(VIDEO) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = THREADS
            rate, base = stream.average_rate, stream.time_base
            frames, at = None, None
            for number in chosen_once:
                time = number / rate
                # A seek pays only where a key frame lies between here and there; 250 frames apart at most.
                if at is None or number - at > 250:
                    container.seek(int(time / base), stream=stream, backward=True)
                    frames = container.decode(stream)
                for frame in frames:
                    at = round(float(frame.pts * base * rate))
                    if at >= number:
                        pictures.append(frame.to_ndarray(format="rgb24"))
                        break
        return told(pictures)

    return read


def decord():
    import decord

    def read():
        reader = decord.VideoReader(VIDEO, num_threads=THREADS)
        return told(list(reader.get_batch(chosen_once).asnumpy()))

    return read


def torchcodec():
    from torchcodec.decoders import VideoDecoder

    def read():
        decoder = VideoDecoder(VIDEO, num_ffmpeg_threads=THREADS, dimension_order="NHWC", seek_mode="exact")
        return told(list(decoder.get_frames_at(chosen_once).data.numpy()))

    return read


probe_once = probe()
chosen_once = chosen()
CASES = {"ffmpeg_select": lambda mode: ffmpeg_select(), "ffmpeg_seek": lambda mode: ffmpeg_seek(),
         "pyav": lambda mode: pyav(), "decord": lambda mode: decord(), "torchcodec": lambda mode: torchcodec()}


def about():
    return {"frames": probe_once[0], "width": probe_once[1], "height": probe_once[2]}

"""A whole step of reinforcing the tiny captioner, as one would write it well in PyTorch: each prompt is read once and
its cache repeated for its samples, finished captions leave the batch, the judge reads a caption once for all of its
questions, the update runs on padded micro-batches with the pictures encoded once."""
import json
import time

import numpy as np
import torch
from torch.nn import functional as F

from cases import MODELS, peak_resident
from models import Decoder, TinyVlm, read_safetensors

SAMPLES = 8
MAXIMUM_TOKENS = 96
MICRO_ITEMS = 8


def pad(rows, value=0):
    longest = max(len(row) for row in rows)
    return torch.tensor([list(row) + [value] * (longest - len(row)) for row in rows])


class RlStep:
    def __init__(self, mode):
        self.mode = mode
        self.policy = TinyVlm(read_safetensors(MODELS / "captioner/model.safetensors"))
        self.judge = Decoder.of(read_safetensors(MODELS / "judge/model.safetensors"), heads=4).eval()
        self.judge.requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.policy.parameters(), lr=1e-7, weight_decay=0.01, fused=True)
        self.described = json.loads((MODELS / "step.json").read_text())
        items = self.described["items"]
        self.prompts = torch.tensor([item["tokens"] for item in items])
        self.first_media = next(i for i, row in enumerate(items[0]["media_row"]) if row >= 0)
        assert all(item["media_row"] == items[0]["media_row"] for item in items)
        side = 48
        pixels = np.fromfile(MODELS / "pixels.f32", dtype=np.float32).reshape(-1, side, side, 3)
        self.pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        self.end = self.described["end"]
        self.questions = [pad([item["questions"][q] for item in items]) for q in range(len(items[0]["questions"]))]
        self.question_ends = [
            torch.tensor([len(item["questions"][q]) - 1 for item in items]) for q in range(len(self.questions))
        ]
        self.gold = torch.tensor([item["gold"] for item in items])
        self.letters = self.described["letters"]
        longest = self.prompts.shape[1] + MAXIMUM_TOKENS
        self.cosine, self.sine = self.policy.language.rotary(torch.arange(longest))
        if mode == "compile":
            self.micro_loss = torch.compile(self.micro_loss, dynamic=True)
            self.fixed_step = torch.compile(self.fixed_step)
        self.cache = self.policy.language.new_cache(len(items) * SAMPLES, longest)
        for part in self.cache:
            part.zero_()
        self.visible = torch.ones(longest, longest).tril().bool()

    def embed_prompts(self, prompts, pixels):
        x = self.policy.language.embedding(prompts)
        features = self.policy.vision(pixels)
        return torch.cat((x[:, : self.first_media], features, x[:, self.first_media + features.shape[1] :]), 1)

    def fixed_step(self, token, position, cosine, sine, mask):
        language = self.policy.language
        hidden = language.at_position(language.embedding(token), (cosine, sine), self.cache, position, mask)
        return F.log_softmax(language.head(hidden[:, -1]), -1)

    @torch.inference_mode()
    def rollout(self):
        language = self.policy.language
        items, prompt = self.prompts.shape
        rows = items * SAMPLES
        first = language.new_cache(items, prompt)
        rotary = (self.cosine[:prompt], self.sine[:prompt])
        hidden = language.against_cache(self.embed_prompts(self.prompts, self.pixels), rotary, first, 0, prompt)
        log_probabilities = F.log_softmax(language.head(hidden[:, -1]), -1).repeat_interleave(SAMPLES, 0)
        cache = self.cache
        for part, whole in zip(first, cache):
            whole[:, :, :, :prompt] = part.repeat_interleave(SAMPLES, 1)
        live = torch.arange(rows)
        tokens = torch.full((rows, MAXIMUM_TOKENS), self.end)
        recorded = torch.zeros(rows, MAXIMUM_TOKENS)
        lengths = torch.full((rows,), MAXIMUM_TOKENS)
        for t in range(MAXIMUM_TOKENS):
            drawn = torch.multinomial(log_probabilities.exp(), 1)
            unfinished = lengths[live] > t
            tokens[live, t] = torch.where(unfinished, drawn[:, 0], self.end)
            recorded[live, t] = log_probabilities.gather(1, drawn)[:, 0]
            ended = unfinished & (drawn[:, 0] == self.end)
            lengths[live[ended]] = t + 1
            unfinished &= ~ended
            left = int(unfinished.sum())
            if left == 0 or t + 1 == MAXIMUM_TOKENS:
                break
            at = prompt + t
            if self.mode == "compile":
                log_probabilities = self.fixed_step(
                    drawn, torch.tensor([at]), self.cosine[at : at + 1], self.sine[at : at + 1],
                    self.visible[at : at + 1])
                continue
            if left < 0.7 * len(live):
                live = live[unfinished]
                cache = [part[:, unfinished] for part in cache]
                drawn = drawn[unfinished]
            rotary = (self.cosine[at : at + 1], self.sine[at : at + 1])
            hidden = language.against_cache(language.embedding(drawn), rotary, cache, at, at + 1)
            log_probabilities = F.log_softmax(language.head(hidden[:, -1]), -1)
        captions = [tokens[r, : lengths[r]].tolist() for r in range(rows)]
        return captions, recorded, lengths

    @torch.inference_mode()
    def judge_captions(self, captions, per_item):
        """The mean score of each caption: the caption is read once, its questions against its cache."""
        before = self.described["judge_before"]
        texts = [before + [token for token in caption if token != self.end] for caption in captions]
        scores = []
        for begin in range(0, len(texts), 64):
            scores.append(self.judge_some(texts[begin : begin + 64], torch.arange(begin, min(begin + 64, len(texts)))
                                          // per_item))
        return torch.cat(scores)

    def judge_some(self, texts, items):
        judge = self.judge
        tokens = pad(texts)
        rows, prefix = tokens.shape
        lengths = torch.tensor([len(text) for text in texts])
        longest = max(question.shape[1] for question in self.questions)
        cache = judge.new_cache(rows, prefix + longest)
        judge.against_cache(judge.embedding(tokens), judge.rotary(torch.arange(prefix)), cache, 0, prefix)
        scores = torch.zeros(rows)
        for q, question in enumerate(self.questions):
            asked = question[items]
            count = asked.shape[1]
            positions = lengths[:, None] + torch.arange(count)
            cosine, sine = judge.rotary(positions)
            mask = torch.cat(
                ((torch.arange(prefix) < lengths[:, None])[:, None].expand(-1, count, -1),
                 torch.ones(count, count).tril().bool().expand(rows, -1, -1)), -1)[:, None]
            hidden = judge.against_cache(judge.embedding(asked), (cosine[:, None], sine[:, None]), cache, prefix,
                                         prefix + count, mask)
            last = hidden[torch.arange(rows), self.question_ends[q][items]]
            probabilities = torch.softmax(judge.head(last) / self.described["judge_temperature"], -1)
            letters = torch.stack([probabilities[:, ids].sum(-1) for ids in self.letters[:4]], -1)
            gold = letters.gather(1, self.gold[items, q][:, None])[:, 0]
            scores += gold - self.described["penalty"] * (letters.sum(-1) - gold)
        return scores / len(self.questions)

    def caption_log_probabilities(self, prompts, pixels, tokens):
        """[captions, T] of some items, each with the same number of captions."""
        language = self.policy.language
        per_item = tokens.shape[0] // prompts.shape[0]
        prompts = self.embed_prompts(prompts, pixels)
        x = torch.cat((prompts.repeat_interleave(per_item, 0), language.embedding(tokens[:, :-1])), 1)
        prompt, length = prompts.shape[1], x.shape[1]
        hidden = language(x, (self.cosine[:length], self.sine[:length]))
        logits = language.head(hidden[:, prompt - 1 :])
        return -F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view(tokens.shape)

    def micro_loss(self, prompts, pixels, tokens, recorded, weights):
        log_probabilities = self.caption_log_probabilities(prompts, pixels, tokens)
        return -(torch.exp(log_probabilities - recorded) * weights).sum()

    def update(self, captions, recorded, lengths, scores):
        grouped = scores.view(-1, SAMPLES)
        advantages = (grouped - (grouped.sum(1, keepdim=True) - grouped) / (SAMPLES - 1)).flatten()
        for begin in range(0, len(self.prompts), MICRO_ITEMS):
            rows = slice(begin * SAMPLES, (begin + MICRO_ITEMS) * SAMPLES)
            tokens = pad(captions[rows])
            longest = tokens.shape[1]
            seen = torch.arange(longest) < lengths[rows, None]
            weights = seen * advantages[rows, None] / lengths.sum()
            items = slice(begin, begin + MICRO_ITEMS)
            loss = self.micro_loss(self.prompts[items], self.pixels[items], tokens, recorded[rows, :longest], weights)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def run(self):
        torch.manual_seed(1)
        times = [time.perf_counter()]
        captions, recorded, lengths = self.rollout()
        times.append(time.perf_counter())
        scores = self.judge_captions(captions, SAMPLES)
        times.append(time.perf_counter())
        self.update(captions, recorded.clone(), lengths.clone(), scores.clone())
        times.append(time.perf_counter())
        return {
            "rollout_s": times[1] - times[0],
            "judge_s": times[2] - times[1],
            "update_s": times[3] - times[2],
            "caption_tokens": int(lengths.sum()),
            "peak_MB": peak_resident(),
        }

    def check(self):
        captions = [item["caption"] for item in self.described["items"]]
        log_probabilities = self.caption_log_probabilities(self.prompts, self.pixels, pad(captions))
        lengths = torch.tensor([len(caption) for caption in captions])
        seen = torch.arange(log_probabilities.shape[1]) < lengths[:, None]
        return (log_probabilities * seen).sum().item(), self.judge_captions(captions, 1).mean().item()

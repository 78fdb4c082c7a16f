"""Chapter 12's embedders: how many people, how many pictures of each, which loss, which groups.

Run from the repository's root: python experiments/faces.py
All pictures are drawn by helpers.faces (48x48 pixels). A run draws 4,000 training pictures (its seed draws people,
views, weights and batches), trains an Embedder for 400 steps of 64 people with two pictures each (50 where there are
only 50), and is judged on other people. Parts: "split", 4,000 pictures of 4,000 to 50 people; "change", one picture
each of 4,000 people with a stronger augmentation; "loss", contrastive instead of triplet; "group", 500 people of whom
a share belongs to the group "make-up" and the others to "hair", 8 pictures each. tested: "all", 400 people of no group,
5 pictures each, or one group, 300 people, 4 pictures each, pairs within the group. eer: equal error rate; threshold:
the lowest with a false match rate of at most 1 % on 300 validation people of no group, or of at most 5 % on 300 of
the two groups in the training's proportions, pairs within a group; fmr, fnmr: false match and false non-match rate of
the tested people at it; one_person, strangers, same_view: mean cosine of two pictures of one person, of two people, and
of two people in one view (the same ground, clothes, light, pose); seconds: the processor's time for training. Results:
faces.csv.
And faces_gallery.csv, for networks of the parts "split" (500 people) and "long" (2,000 people, 8 pictures each, 1,500
steps): of 2,000 people with two pictures each, one enrolled and one to be found, for galleries of K people drawn at
random: alarm, the share of strangers that match somebody at a threshold whose false match rate on validation people is
at most `target`; formula, 1 - (1 - fmr)^K with the fmr of these people; missed, the share of the enrolled for whom
another face in the gallery scores at least as high as their own. Both exact over all galleries. About twelve minutes on
a core. A second run continues: a run that is in the file is not run again; a second process may begin at the other end
(python experiments/faces.py backward).
"""

import sys
import time

import results
import torch

from helpers import augment, faces, verification

PATH = results.FOLDER / "faces.csv"
GALLERY = results.FOLDER / "faces_gallery.csv"
PICTURES, SIZE, SEEDS = 4000, 48, (0, 1, 2)
SPLITS = (4000, 2000, 1000, 500, 200, 50)
SHARES = (0.1, 0.5, 0.9)
SOURCE = "faces drawn by this book"
TARGETS = (0.01, 0.001)
PROMISE, PROMISE_IN_GROUPS = 0.01, 0.05  # with changing hair or make-up the task is harder
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
PLAN = []  # part, people, loss, share of "make-up" (none where there are no groups), seed
LONG = ("long", 2000, "triplet", "none", 0)
for _seed in SEEDS:
    PLAN += [("split", n, "triplet", "none", _seed) for n in SPLITS]
    PLAN += [("loss", 500, "contrastive", "none", _seed), ("change", 4000, "triplet", "none", _seed)]
    PLAN += [LONG] if _seed == 0 else []
PLAN += [("group", 500, "triplet", share, _seed) for _seed in SEEDS for share in SHARES]
GALLERIES = [("split", 500, "triplet", "none", _seed) for _seed in SEEDS] + [LONG]
LOSSES = {"triplet": verification.batch_triplet, "contrastive": verification.batch_contrastive}


def main():
    torch.set_num_threads(1)
    names = ("part", "people", "loss", "share", "seed")
    for run in PLAN[::-1] if "backward" in sys.argv else PLAN:
        key = tuple(map(str, run))
        if key in results.done(PATH, *names):
            continue
        columns = dict(zip(names, run)) | {"source": SOURCE}
        model, seconds = trained(*run)
        rows = [columns | row | {"seconds": seconds} | results.machine() for row in judged(model, run[3])]
        print(run, seconds, [(r["tested"], r["eer"], r["fmr"], r["fnmr"]) for r in rows], flush=True)
        if run in GALLERIES:
            results.append(GALLERY, [columns | row | results.machine() for row in galleries(model)])
        results.append(PATH, rows)


def trained(part, people, loss, share, seed):
    each, steps = (8, 1500) if part == "long" else (PICTURES // people, 400)
    pictures = grouped(people, each, share, seed)
    change = strong if part == "change" else verification.change
    torch.manual_seed(seed)
    model = verification.Embedder(size=SIZE).to(memory_format=torch.channels_last)
    start = time.process_time()
    verification.train_embedder(model, pictures, LOSSES[loss], steps, seed=seed, change=change)
    return model, round(time.process_time() - start, 2)


def strong(x, generator):
    """Larger shifts, stronger colours, a covered square: what one picture allows to be said of the others."""
    x = augment.colour_jitter(augment.random_crop(x, generator, 6), generator, strength=0.6)
    return augment.cutout(x, generator, size=16)


def grouped(people, each, share, seed):
    """Pictures of people of no group, or of both, numbered on."""
    if share == "none":
        return faces.faces(people, each, SIZE, seed)
    painted = round(people * share)
    parts = [
        faces.faces(n, each, SIZE, seed + k, g)
        for k, (n, g) in enumerate(((people - painted, "hair"), (painted, "make-up")))
    ]
    labels = torch.cat([parts[0].labels, parts[1].labels + people - painted])
    names = tuple(f"person {i}" for i in range(people))
    return faces.ImageSet(torch.cat([p.images for p in parts]), labels, names, SOURCE)


def judged(model, share):
    """A row for each tested group: error rates at thresholds taken from other people."""
    if share == "none":
        validation = scored(model, faces.faces(300, 5, SIZE, 900))
        tests = {"all": faces.faces(400, 5, SIZE, 901)}
    else:
        painted = round(300 * share)
        parts = [(300 - painted, 902, "hair"), (painted, 903, "make-up")]
        pairs = [scored(model, faces.faces(n, 4, SIZE, seed, group)) for n, seed, group in parts]
        validation = [torch.cat(both) for both in zip(*pairs)]
        tests = {g: faces.faces(300, 4, SIZE, 904 + k, g) for k, g in enumerate(faces.GROUPS)}
    threshold = verification.threshold_for(*validation, PROMISE if share == "none" else PROMISE_IN_GROUPS)
    return [{"tested": name} | measured(model, pictures, threshold) for name, pictures in tests.items()]


def scored(model, pictures):
    return verification.pair_scores(verification.embed(model, pictures), pictures.labels)


def measured(model, pictures, threshold):
    scores, same = scored(model, pictures)
    rates = verification.error_rates(scores, same, threshold)
    values = {
        "eer": verification.equal_error_rate(scores, same)[0],
        "threshold": threshold,
        "fmr": rates[0],
        "fnmr": rates[1],
    }
    values |= {"one_person": scores[same].mean().item(), "strangers": scores[~same].mean().item()}
    return {name: round(value, 5) for name, value in (values | {"same_view": alike(model, pictures)}).items()}


def alike(model, pictures):
    """The mean cosine of two people in one view, all else of the picture being the same."""
    who = pictures.identities[:: len(pictures) // len(pictures.classes)]
    views = faces.random_views(len(who), 905)
    points = []
    for people in (who, who.roll(1, 0)):
        drawn = faces.ImageSet(faces.draw(people, views, SIZE, 906), torch.zeros(len(who)).long(), ("",), SOURCE)
        points.append(verification.embed(model, drawn))
    return (points[0] * points[1]).sum(1).mean().item()


def galleries(model):
    """Rows (target, K): false alarms of strangers and missed people, averaged over all galleries of K people."""
    pictures, validation = faces.faces(2000, 2, SIZE, 910), scored(model, faces.faces(500, 4, SIZE, 911))
    z = verification.embed(model, pictures)
    scores, rows, others = z[1::2] @ z[0::2].T, [], 1999
    own = scores.diagonal().clone()
    scores.fill_diagonal_(-2)  # the probe itself is nobody's stranger
    better = (scores >= own[:, None]).sum(1)
    for target in TARGETS:
        threshold = verification.threshold_for(*validation, target)
        matches = (scores >= threshold).sum(1)
        fmr = matches.sum().item() / (len(scores) * others)
        for k in SIZES:
            alarm = 1 - verification.none_drawn(matches, others, k).mean().item()
            missed = 1 - verification.none_drawn(better, others, k - 1).mean().item()
            row = {
                "target": target,
                "k": k,
                "fmr": fmr,
                "alarm": alarm,
                "formula": 1 - (1 - fmr) ** k,
                "missed": missed,
            }
            rows.append({name: round(value, 6) for name, value in row.items()})
    return rows


if __name__ == "__main__":
    main()

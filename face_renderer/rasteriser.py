"""A small z-buffer rasteriser in numba: triangle ids, shading, optical flow.

Compiled once; the machine code is kept in the user's cache folder
(`$XDG_CACHE_HOME/kf_imitation/numba`), never in the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

_cache = Path(os.environ.get('XDG_CACHE_HOME', Path.home() / '.cache')) / 'kf_imitation' / 'numba'
if not os.environ.get('NUMBA_CACHE_DIR'):
    numba.config.CACHE_DIR = str(_cache)

njit = numba.njit(cache=True, fastmath=True, nogil=True)


@njit
def vertex_normals(vertices: F32, triangles: I32) -> F32:
    """Unit normals (V, 3) by area-weighted averaging."""
    normals = np.zeros_like(vertices)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        wx = vertices[c, 0] - vertices[a, 0]
        wy = vertices[c, 1] - vertices[a, 1]
        wz = vertices[c, 2] - vertices[a, 2]
        nx = uy * wz - uz * wy
        ny = uz * wx - ux * wz
        nz = ux * wy - uy * wx
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    for v in range(vertices.shape[0]):
        length = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2) + 1e-12
        for k in range(3):
            normals[v, k] /= length
    return normals


@njit
def rasterise(
    screen: F32,
    inverse_depth: F32,
    triangles: I32,
    two_sided: NDArray[np.bool_],
    bias: F32,
    height: int,
    width: int,
) -> tuple[I32, F32]:
    """Draws triangles into an id buffer.

    Args:
        screen: (V, 2) sample positions (x right, y down); sample (i, j) lies at (j + .5, i + .5).
        inverse_depth: (V,) one over the distance along the optical axis [1/cm].
        triangles: (T, 3) vertex indices, counter-clockwise in a y-up view.
        two_sided: (T,) False culls the back.
        bias: (T,) factor on the inverse depth for the test (below 1 pushes back).
        height: rows of the buffers.
        width: columns of the buffers.

    Returns:
        (h, w) int32 triangle of each sample, -1 for none; (h, w) float32 inverse depth times bias.
    """
    ids = np.full((height, width), -1, np.int32)
    nearest = np.zeros((height, width), np.float32)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay = screen[a, 0], screen[a, 1]
        bx, by = screen[b, 0], screen[b, 1]
        cx, cy = screen[c, 0], screen[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0:
            continue
        if area > 0.0 and not two_sided[t]:
            continue
        if inverse_depth[a] <= 0 or inverse_depth[b] <= 0 or inverse_depth[c] <= 0:
            continue
        x0 = max(int(np.ceil(min(ax, bx, cx) - 0.5)), 0)
        x1 = min(int(np.floor(max(ax, bx, cx) - 0.5)), width - 1)
        if x0 > x1:
            continue
        y0 = max(int(np.ceil(min(ay, by, cy) - 0.5)), 0)
        y1 = min(int(np.floor(max(ay, by, cy) - 0.5)), height - 1)
        inverse = np.float32(1.0) / area
        za, zb, zc = (
            inverse_depth[a] * bias[t],
            inverse_depth[b] * bias[t],
            inverse_depth[c] * bias[t],
        )
        dx_b = (cy - ay) * inverse
        dx_c = -(by - ay) * inverse
        for y in range(y0, y1 + 1):
            py = np.float32(y) + np.float32(0.5) - ay
            px = np.float32(x0) + np.float32(0.5) - ax
            wb = px * (cy - ay) * inverse - py * (cx - ax) * inverse
            wc = py * (bx - ax) * inverse - px * (by - ay) * inverse
            for x in range(x0, x1 + 1):
                wa = np.float32(1.0) - wb - wc
                if wa >= 0 and wb >= 0 and wc >= 0:
                    z = wa * za + wb * zb + wc * zc
                    if z > nearest[y, x]:
                        nearest[y, x] = z
                        ids[y, x] = t
                wb += dx_b
                wc += dx_c
    return ids, nearest


@njit
def _corners(screen, inverse_depth, a, b, c, px, py):  # type: ignore[no-untyped-def]
    """Perspective-correct barycentric weights of a sample."""
    ax, ay = screen[a, 0], screen[a, 1]
    area = (screen[b, 0] - ax) * (screen[c, 1] - ay) - (screen[b, 1] - ay) * (screen[c, 0] - ax)
    qx, qy = px - ax, py - ay
    wb = (qx * (screen[c, 1] - ay) - qy * (screen[c, 0] - ax)) / area
    wc = (qy * (screen[b, 0] - ax) - qx * (screen[b, 1] - ay)) / area
    wa = np.float32(1.0) - wb - wc
    wa *= inverse_depth[a]
    wb *= inverse_depth[b]
    wc *= inverse_depth[c]
    total = wa + wb + wc
    return wa / total, wb / total, wc / total


@njit
def shade(
    ids: I32,
    screen: F32,
    inverse_depth: F32,
    triangles: I32,
    uv: F32,
    page: I32,
    flat: F32,
    textures: NDArray[np.uint8],
    decode: F32,
    light: F32,
    shine: F32,
    out: F32,
) -> None:
    """Colours the samples of an id buffer, in place and in linear light.

    Args:
        ids: (h, w) triangle of each sample.
        screen: (V, 2) positions as drawn.
        inverse_depth: (V,) as drawn.
        triangles: (T, 3).
        uv: (T, 3, 2) texture coordinates, 0..1, v up.
        page: (T,) texture page, or -1 - m for the flat colour m.
        flat: (M, 3) linear colours.
        textures: (P, s, s, 3) uint8, gamma-encoded.
        decode: (256,) from the stored byte to linear light.
        light: (V, 3) diffuse light.
        shine: (V, 3) light added after the surface colour (highlights).
        out: (h, w, 3) written where a triangle is.
    """
    height, width = ids.shape
    size = textures.shape[1]
    for y in range(height):
        for x in range(width):
            t = ids[y, x]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wa, wb, wc = _corners(
                screen,
                inverse_depth,
                a,
                b,
                c,
                np.float32(x) + np.float32(0.5),
                np.float32(y) + np.float32(0.5),
            )
            p = page[t]
            if p < 0:
                red, green, blue = flat[-1 - p, 0], flat[-1 - p, 1], flat[-1 - p, 2]
            else:
                u = wa * uv[t, 0, 0] + wb * uv[t, 1, 0] + wc * uv[t, 2, 0]
                v = wa * uv[t, 0, 1] + wb * uv[t, 1, 1] + wc * uv[t, 2, 1]
                fx = min(
                    max(u * size - np.float32(0.5), np.float32(0.0)), np.float32(size - 1.001)
                )
                fy = min(
                    max((np.float32(1.0) - v) * size - np.float32(0.5), np.float32(0.0)),
                    np.float32(size - 1.001),
                )
                ix, iy = int(fx), int(fy)
                dx, dy = fx - ix, fy - iy
                w00, w01 = (1 - dx) * (1 - dy), dx * (1 - dy)
                w10, w11 = (1 - dx) * dy, dx * dy
                red = (
                    decode[textures[p, iy, ix, 0]] * w00 + decode[textures[p, iy, ix + 1, 0]] * w01
                )
                red += (
                    decode[textures[p, iy + 1, ix, 0]] * w10
                    + decode[textures[p, iy + 1, ix + 1, 0]] * w11
                )
                green = (
                    decode[textures[p, iy, ix, 1]] * w00 + decode[textures[p, iy, ix + 1, 1]] * w01
                )
                green += (
                    decode[textures[p, iy + 1, ix, 1]] * w10
                    + decode[textures[p, iy + 1, ix + 1, 1]] * w11
                )
                blue = (
                    decode[textures[p, iy, ix, 2]] * w00 + decode[textures[p, iy, ix + 1, 2]] * w01
                )
                blue += (
                    decode[textures[p, iy + 1, ix, 2]] * w10
                    + decode[textures[p, iy + 1, ix + 1, 2]] * w11
                )
            out[y, x, 0] = red * (wa * light[a, 0] + wb * light[b, 0] + wc * light[c, 0]) + (
                wa * shine[a, 0] + wb * shine[b, 0] + wc * shine[c, 0]
            )
            out[y, x, 1] = green * (wa * light[a, 1] + wb * light[b, 1] + wc * light[c, 1]) + (
                wa * shine[a, 1] + wb * shine[b, 1] + wc * shine[c, 1]
            )
            out[y, x, 2] = blue * (wa * light[a, 2] + wb * light[b, 2] + wc * light[c, 2]) + (
                wa * shine[a, 2] + wb * shine[b, 2] + wc * shine[c, 2]
            )


@njit
def blend_layer(
    screen: F32,
    inverse_depth: F32,
    triangles: I32,
    corner_alpha: F32,
    colour: F32,
    nearest: F32,
    out: F32,
) -> None:
    """Blends see-through triangles (lashes, lenses) over the picture, tested against the depth.

    Args:
        screen: (V, 2).
        inverse_depth: (V,).
        triangles: (T, 3), both sides drawn.
        corner_alpha: (T, 3) opacity at the corners.
        colour: (T, 3) linear colour.
        nearest: (h, w) inverse depth of what is drawn already.
        out: (h, w, 3) changed in place.
    """
    height, width = nearest.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay = screen[a, 0], screen[a, 1]
        bx, by = screen[b, 0], screen[b, 1]
        cx, cy = screen[c, 0], screen[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9:
            continue
        x0 = max(int(np.ceil(min(ax, bx, cx) - 0.5)), 0)
        x1 = min(int(np.floor(max(ax, bx, cx) - 0.5)), width - 1)
        y0 = max(int(np.ceil(min(ay, by, cy) - 0.5)), 0)
        y1 = min(int(np.floor(max(ay, by, cy) - 0.5)), height - 1)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                qx, qy = np.float32(x) + np.float32(0.5) - ax, np.float32(y) + np.float32(0.5) - ay
                wb = (qx * (cy - ay) - qy * (cx - ax)) / area
                wc = (qy * (bx - ax) - qx * (by - ay)) / area
                wa = np.float32(1.0) - wb - wc
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                z = wa * inverse_depth[a] + wb * inverse_depth[b] + wc * inverse_depth[c]
                if z < nearest[y, x]:
                    continue
                alpha = wa * corner_alpha[t, 0] + wb * corner_alpha[t, 1] + wc * corner_alpha[t, 2]
                for k in range(3):
                    out[y, x, k] += alpha * (colour[t, k] - out[y, x, k])


@njit
def sample_flow(
    ids: I32,
    screen: F32,
    inverse_depth: F32,
    triangles: I32,
    next_screen: F32,
    next_inverse_depth: F32,
    next_nearest: F32,
    flow: F32,
    state: NDArray[np.uint8],
) -> None:
    """Exact forward flow of every sample, and whether its point is seen in the next picture.

    Args:
        ids: (h, w) triangle of each sample of the first picture.
        screen: (V, 2) first positions.
        inverse_depth: (V,) of the first picture.
        triangles: (T, 3).
        next_screen: (V, 2) positions in the next picture.
        next_inverse_depth: (V,) of the next picture.
        next_nearest: (h, w) inverse-depth buffer of the next picture.
        flow: (h, w, 2) written, in samples.
        state: (h, w) written: 0 nothing, 1 hidden or outside in the next picture, 2 seen in both.
    """
    height, width = ids.shape
    for y in range(height):
        for x in range(width):
            t = ids[y, x]
            flow[y, x, 0] = 0
            flow[y, x, 1] = 0
            state[y, x] = 0
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            px, py = np.float32(x) + np.float32(0.5), np.float32(y) + np.float32(0.5)
            wa, wb, wc = _corners(screen, inverse_depth, a, b, c, px, py)
            da, db, dc = (
                1 / next_inverse_depth[a],
                1 / next_inverse_depth[b],
                1 / next_inverse_depth[c],
            )
            depth = wa * da + wb * db + wc * dc
            nx = (
                wa * da * next_screen[a, 0]
                + wb * db * next_screen[b, 0]
                + wc * dc * next_screen[c, 0]
            ) / depth
            ny = (
                wa * da * next_screen[a, 1]
                + wb * db * next_screen[b, 1]
                + wc * dc * next_screen[c, 1]
            ) / depth
            flow[y, x, 0] = nx - px
            flow[y, x, 1] = ny - py
            state[y, x] = 1
            # Seen when one of the four samples around the point is as near as the point itself.
            ix, iy = int(np.floor(nx - np.float32(0.5))), int(np.floor(ny - np.float32(0.5)))
            if ix < 0 or iy < 0 or ix >= width - 1 or iy >= height - 1:
                continue
            seen = False
            for j in range(2):
                for i in range(2):
                    z = next_nearest[iy + j, ix + i]
                    if z > 0 and 1 / z > depth * np.float32(0.996) - np.float32(0.1):
                        seen = True
                    if z == 0:
                        seen = True
            blocked = 0
            for j in range(2):
                for i in range(2):
                    z = next_nearest[iy + j, ix + i]
                    if z > 0 and 1 / z < depth - np.float32(0.35):
                        blocked += 1
            if seen and blocked == 0:
                state[y, x] = 2


@njit
def average_flow(
    flow: F32, state: NDArray[np.uint8], nearest: F32, out: F32, seen: NDArray[np.uint8]
) -> None:
    """Flow per pixel from 2x2 samples: the mean over the samples of the nearest surface.

    Args:
        flow: (2h, 2w, 2) in samples.
        state: (2h, 2w) of `sample_flow`.
        nearest: (2h, 2w) inverse depth of the first picture.
        out: (h, w, 2) written, in pixels.
        seen: (h, w) written: 1 where the flow may be trained on.
    """
    height, width = seen.shape
    for y in range(height):
        for x in range(width):
            best = np.float32(0.0)
            for j in range(2):
                for i in range(2):
                    best = max(best, nearest[2 * y + j, 2 * x + i])
            out[y, x, 0] = 0
            out[y, x, 1] = 0
            seen[y, x] = 0
            if best <= 0:
                continue
            count, visible = 0, 0
            u, v = np.float32(0.0), np.float32(0.0)
            for j in range(2):
                for i in range(2):
                    z = nearest[2 * y + j, 2 * x + i]
                    if z > 0 and 1 / z < 1 / best + 0.5:
                        count += 1
                        u += flow[2 * y + j, 2 * x + i, 0]
                        v += flow[2 * y + j, 2 * x + i, 1]
                        if state[2 * y + j, 2 * x + i] == 2:
                            visible += 1
            if count == 0:
                continue
            out[y, x, 0] = u / count * np.float32(0.5)
            out[y, x, 1] = v / count * np.float32(0.5)
            if count == 4 and visible == 4:
                seen[y, x] = 1


@njit
def interpolate_corners(ids: I32, screen: F32, triangles: I32, corners: F32) -> F32:
    """Values (h, w, C) between corner values (T, 3, C), no perspective; 0 where nothing is."""
    height, width = ids.shape
    channels = corners.shape[2]
    out = np.zeros((height, width, channels), np.float32)
    flat = np.ones(screen.shape[0], np.float32)
    for y in range(height):
        for x in range(width):
            t = ids[y, x]
            if t < 0:
                continue
            wa, wb, wc = _corners(
                screen,
                flat,
                triangles[t, 0],
                triangles[t, 1],
                triangles[t, 2],
                np.float32(x) + np.float32(0.5),
                np.float32(y) + np.float32(0.5),
            )
            for k in range(channels):
                out[y, x, k] = (
                    wa * corners[t, 0, k] + wb * corners[t, 1, k] + wc * corners[t, 2, k]
                )
    return out


@njit
def light_vertices(
    posed: F32,
    normals: F32,
    ambient: F32,
    gloss: F32,
    wet: F32,
    shadow: F32,
    lights: F32,
    colours: F32,
    sky: F32,
    ground: F32,
    wrap: F32,
) -> tuple[F32, F32]:
    """Diffuse light and highlights per vertex.

    Args:
        posed: (V, 3) camera space.
        normals: (V, 3).
        ambient: (V,) share of the sky that reaches the vertex.
        gloss: (V,) strength of broad highlights.
        wet: (V,) strength of sharp highlights.
        shadow: (L, V) share of each light that reaches the vertex.
        lights: (L, 3) unit directions.
        colours: (L, 3).
        sky: (3,) from above.
        ground: (3,) from below.
        wrap: (3,) how far light bleeds round the edge, per colour.
    """
    count = posed.shape[0]
    light = np.zeros((count, 3), np.float32)
    shine = np.zeros((count, 3), np.float32)
    for v in range(count):
        nx, ny, nz = normals[v, 0], normals[v, 1], normals[v, 2]
        up = ny * np.float32(0.5) + np.float32(0.5)
        for k in range(3):
            light[v, k] = (ground[k] + (sky[k] - ground[k]) * up) * ambient[v]
        px, py, pz = posed[v, 0], posed[v, 1], posed[v, 2]
        length = np.sqrt(px * px + py * py + pz * pz) + np.float32(1e-6)
        vx, vy, vz = -px / length, -py / length, -pz / length
        for i in range(lights.shape[0]):
            lx, ly, lz = lights[i, 0], lights[i, 1], lights[i, 2]
            facing = nx * lx + ny * ly + nz * lz
            dark = shadow[i, v]
            for k in range(3):
                diffuse = (facing + wrap[k]) / (1 + wrap[k])
                if diffuse > 0:
                    seen = (
                        np.sqrt(dark) * np.float32(0.4) + dark * np.float32(0.6)
                        if k == 0
                        else dark
                    )
                    light[v, k] += (
                        colours[i, k] * min(diffuse, np.float32(1.0)) * seen * np.float32(0.9)
                    )
            if (gloss[v] > 0 or wet[v] > 0) and facing > 0:
                hx, hy, hz = vx + lx, vy + ly, vz + lz
                h = np.sqrt(hx * hx + hy * hy + hz * hz) + np.float32(1e-6)
                aligned = max((nx * hx + ny * hy + nz * hz) / h, np.float32(0.0))
                a2 = aligned * aligned
                a4 = a2 * a2
                a8 = a4 * a4
                a16 = a8 * a8
                strength = (gloss[v] * a16 * a2 * np.float32(1.5) + wet[v] * a16 * a16 * a8) * dark
                for k in range(3):
                    shine[v, k] += strength * colours[i, k]
    return light, shine


@njit
def resolve(linear: F32, ids: I32, exposure: float, image: F32, cover: F32) -> None:
    """2x2 samples of linear RGB to pixels of BGR after exposure and a soft shoulder.

    Args:
        linear: (2h, 2w, 3).
        ids: (2h, 2w) triangle of each sample.
        exposure: factor on linear light.
        image: (h, w, 3) written, still linear 0..1.
        cover: (h, w) written, share of samples on a triangle.
    """
    height, width = cover.shape
    for y in range(height):
        for x in range(width):
            inside = 0
            for j in range(2):
                for i in range(2):
                    if ids[2 * y + j, 2 * x + i] >= 0:
                        inside += 1
            cover[y, x] = inside * np.float32(0.25)
            for k in range(3):
                total = linear[2 * y, 2 * x, k] + linear[2 * y, 2 * x + 1, k]
                total += linear[2 * y + 1, 2 * x, k] + linear[2 * y + 1, 2 * x + 1, k]
                value = max(total * np.float32(0.25) * np.float32(exposure), np.float32(0.0))
                value = np.float32(1.06) * value / (1 + np.float32(0.30) * value * np.sqrt(value))
                image[y, x, 2 - k] = min(value, np.float32(1.0))

# SPDX-License-Identifier: GPL-3.0-or-later
"""plots.py - a result as a PNG: bars with every round as a dot, or lines over a growing number."""
import textwrap

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

COLORS = {'ringress': '#1b6ca8', 'nginx': '#3a9b5c', 'haproxy': '#c7782a'}


def color(proxy):
    return COLORS.get(proxy.split('-')[0].split(',')[0], '#777777')


def draw(result, path):
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout='constrained')
    draw_body = {'drop-latency': draw_lines, 'soak': draw_soak}.get(result['work'], draw_bars)
    draw_body(result, axes)
    ok = {True: 'good', False: 'missed', None: ''}[result['verdict']['ok']]
    says = textwrap.fill(f"{ok}: {result['verdict']['says']}", 88)
    axes.set_title(f"{result['title']}\n{says}", fontsize=10)
    axes.grid(axis='y', alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_bars(result, axes):
    series = result['series']
    names = [s['proxy'].replace('-', '\n', 1).replace(', ', '\n') for s in series]
    bars = axes.bar(names, [s['median'] for s in series], color=[color(s['proxy']) for s in series], width=0.6)
    axes.bar_label(bars, fmt='%.2f', padding=3, fontsize=9)
    for i, s in enumerate(series):
        axes.plot([i] * len(s['rounds']), [r['value'] for r in s['rounds']], 'k.', alpha=0.5, markersize=5)
    if result['unit'].startswith('KiB'):
        axes.axhline(result['verdict']['max'], color='#b03030', linestyle='--', linewidth=1)
    axes.set_ylabel(f"CPU of the proxy, {result['unit']}" if 's/' in result['unit'] else result['unit'])
    axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * 1.08)
    axes.tick_params(axis='x', labelsize=8)


def draw_lines(result, axes):
    for proxy in dict.fromkeys(s['proxy'] for s in result['series']):
        mine = [s for s in result['series'] if s['proxy'] == proxy]
        others = [s['others'] for s in mine]
        axes.plot(others, [s['median'] for s in mine], 'o-', color=color(proxy), label=proxy)
        axes.fill_between(others, [min(r['value'] for r in s['rounds']) for s in mine],
                          [s['worst'] for s in mine], color=color(proxy), alpha=0.15)
    axes.axhline(result['verdict']['max'], color='#b03030', linestyle='--', linewidth=1, label='bar')
    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.set_xticks(others, [f'{n:,}' for n in others])
    axes.minorticks_off()
    axes.set_xlabel('other tenants loaded')
    axes.set_ylabel('ms from the write to the first new answer\n(band: least to most)')
    axes.legend()


def draw_soak(result, axes):
    points = result['points']
    minutes = [p['minute'] for p in points]
    axes.plot(minutes, [p['rss_mib'] for p in points], color=COLORS['ringress'], label='RSS, MiB')
    axes.plot(minutes, [p['buffers_mib'] for p in points], color=COLORS['nginx'], linewidth=1, label='of it buffers')
    axes.plot(minutes, [p['malloc_used_mib'] for p in points], color='#777777', linewidth=1, label='of it malloc, in use')
    rests = result['at_rest']
    axes.plot([minutes[0], minutes[-1]], [rests['before']['rss_mib'], rests['after']['rss_mib']], 'k^', label='RSS at rest')
    axes.set_xlabel('minutes')
    axes.set_ylabel('MiB')
    axes.set_ylim(bottom=0)
    fds = axes.twinx()
    fds.plot(minutes, [p['fds'] for p in points], color=COLORS['haproxy'], alpha=0.7, label='descriptors')
    fds.set_ylabel('descriptors')
    fds.set_ylim(bottom=0)
    axes.legend(*[a + b for a, b in zip(axes.get_legend_handles_labels(), fds.get_legend_handles_labels())],
                loc='upper center', bbox_to_anchor=(0.5, -0.14), ncol=5, fontsize=8)
